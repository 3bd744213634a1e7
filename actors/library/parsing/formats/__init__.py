"""One module for each kind of document: from its text or bytes to blocks."""
