"""Language models, whoever runs them."""
