"""Read the sample events, give them new ids and times, sign them, and combine them into scenarios."""
