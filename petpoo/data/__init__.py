from ..moved import old_names

__getattr__ = old_names("data")
