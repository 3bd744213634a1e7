"""The agents: analyzer, retriever, writer, tools and plugins.

Rule: an agent knows neither the other agents nor who sends its requests.
"""
