"""Answers without a language model: reports that quote the documents. See README.md."""
