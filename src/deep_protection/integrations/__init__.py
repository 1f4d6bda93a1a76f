"""Deep Protection inside other libraries, as one of their own parts.

Each module here is for one host and imports it at its top; without the host, importing the module raises
:class:`deep_protection.MissingExtraError`. :class:`Purify` needs no host and is imported with the package.
"""

from deep_protection.integrations.transform import Purify as Purify
