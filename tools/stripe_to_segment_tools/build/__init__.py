"""What the build writes beside what `sam build` does."""
