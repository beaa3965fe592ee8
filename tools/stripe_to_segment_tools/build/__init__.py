"""The files that the build writes in addition to those of `sam build`."""
