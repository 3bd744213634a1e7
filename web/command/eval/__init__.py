"""`terzetto eval`: measure retrieval and reports against judgements."""
