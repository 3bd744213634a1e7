"""Language models: clients for OpenAI's and Anthropic's APIs, and a local model."""
