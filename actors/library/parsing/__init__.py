"""From the bytes of a document to blocks of text, in a child process."""
