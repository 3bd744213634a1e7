"""Tools that other programs offer, called by the Model Context Protocol."""
