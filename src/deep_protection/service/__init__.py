"""Deep Protection behind HTTP: jobs that survive a crash, workers that may die, a page to watch them.

Needs the extra ``service``. Start it with ``deep-protection serve``, or build the ASGI application with
:func:`deep_protection.service.app.create_app`.
"""
