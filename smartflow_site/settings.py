# SPDX-License-Identifier: Apache-2.0
"""Django's settings, all derived from `env.py`: the control half of the system."""

import contextlib
import importlib.util
import sys
from typing import Any
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from smartflow_site.env import ROOT, load_or_exit
from smartflow_site.secretfile import keep_secret

ENV = load_or_exit()
_ROOMS = (
    "changes", "notify", "identity", "approvals", "keys", "providers", "audit", "policies", "routing", "cache",
    "compliance", "analytics", "mcp", "a2a", "dashboard",
)  # fmt: skip


def database(url: str) -> dict[str, Any]:
    """Django's form of a PostgreSQL URL; without one, the place where the embedded server would listen."""
    parts = (
        {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None} if url else {}
    )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "smartflow"),
        "USER": parts.pop("user", "smartflow_app"),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", str(ENV.var / "sockets")),
        "PORT": parts.pop("port", ""),
        # With a pool a connection goes back after each request, so it must not be kept by the thread.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"connect_timeout": 10, **parts},
    }


def _present(module: str, name: str) -> list[str]:
    """The dotted name, if its module is part of this build."""
    try:
        return [f"{module}.{name}"] if importlib.util.find_spec(module) else []
    except ModuleNotFoundError:
        return []


SECRET_KEY = ENV.secret_key or keep_secret(ENV.var / "secrets" / "django.key", size=32)
KEY_RING_TEXT = ENV.key_ring
KEY_RING_FILE = ENV.key_ring_path
OUTBOUND_ALLOW = ENV.outbound_allow
DEBUG = ENV.debug
ALLOWED_HOSTS = [*ENV.allowed_hosts, *filter(None, [urlsplit(ENV.address).hostname])]
HTTPS = ENV.address.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    *(f"apps.{room}" for room in _ROOMS if _present(f"apps.{room}.apps", room)),
]
MIDDLEWARE = [
    "smartflow_site.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "smartflow_site.urls"
ASGI_APPLICATION = "smartflow_site.asgi.application"
# No redirect either way: the patterns of the rooms accept both forms.
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# The application role owns no table; migrations and partitions go through `owner`.
DATABASES = {"default": database(ENV.database_url), "owner": database(ENV.owner_url)}
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 0, "max_size": ENV.database_pool, "timeout": 10}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Nothing listens on port 1: without stores a command that needs Redis says "connection refused".
REDIS_URL = ENV.redis_url or "redis://127.0.0.1:1/0"
CACHES = {
    "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "sf:django"},
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "sf:channels"},
    },
}

AUTH_USER_MODEL = "identity.Person" if _present("apps.identity.models", "Person") else "auth.User"
LOGIN_URL = "/signin"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/signin"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "smartflow_session"
CSRF_COOKIE_NAME = "smartflow_csrf"
CSRF_TRUSTED_ORIGINS = [ENV.address] if HTTPS else []
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-gb"
LOCALE_PATHS = [ROOT / "locale"]
TIME_ZONE = "UTC"
USE_TZ = USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = ENV.var / "static"
with contextlib.suppress(OSError):
    # On a read-only disk nothing was collected either, and the server then warns once.
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [ROOT / "static"]
# Collected files are served under hashed names; a checkout that never collected serves them as they lie.
_COLLECTED = (STATIC_ROOT / "staticfiles.json").exists() and not DEBUG
_HASHED = _COLLECTED or sys.argv[1:2] == ["collectstatic"]
_STATIC = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if _HASHED
    else ("django.contrib.staticfiles.storage.StaticFilesStorage")
)
WHITENOISE_USE_FINDERS = not _COLLECTED
WHITENOISE_MANIFEST_STRICT = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _STATIC},
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # The first one decides that a stranger gets 401 and not 403.
        *_present("apps.identity.authentication", "TokenAuthentication"),
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "smartflow_site.pagination.ByIdentifier",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
for _name in _present("apps.identity.problems", "problem_handler"):
    REST_FRAMEWORK["EXCEPTION_HANDLER"] = _name
SPECTACULAR_SETTINGS = {
    "TITLE": "Smartflow control API",
    "DESCRIPTION": "Providers, models, targets, records, approvals and change log of one organisation.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

DATA_UPLOAD_MAX_MEMORY_SIZE = ENV.max_body_bytes
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level.upper()},
    "loggers": {
        # Both repeat request lines and SQL parameters at their lower levels: never wanted in a log.
        "django.db.backends": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
