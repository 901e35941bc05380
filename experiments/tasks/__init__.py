"""The verbs: one module and one function each, called with the composed configuration."""
