"""How well attacked images are told from clean ones."""
