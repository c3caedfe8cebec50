"""The application's settings: what they may say, where they are read from, and what is wrong with them."""
