"""The address that earlier versions named: the application is made in ``service.api.app``."""

from deep_protection.service.api.app import create_app

__all__ = ["create_app"]
