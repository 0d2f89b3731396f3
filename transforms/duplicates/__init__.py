"""Near copies: of images, of questions, and of what is in a benchmark."""
