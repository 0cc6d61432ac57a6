__version__ = "0.2.0"

from . import moved # addresses of 0.1
