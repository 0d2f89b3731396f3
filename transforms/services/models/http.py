"""`https://HOST/v1#MODEL`: an OpenAI-compatible endpoint; its key is in the variable that the model's settings name."""

import os
from urllib.parse import urlsplit

from gog.transforms.services.http import key_in
from gog.transforms.services.models.chat import ChatModel, ModelSettings, model_id
from gog.transforms.services.models.provider import ModelProvider, NamedModels
from gog.transforms.services.provider import Opening, ProviderError


def _endpoint(opening: Opening) -> tuple[str, str]:
    """Base URL and model."""
    url, _, model = opening.rest.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ProviderError(f"{url!r} is no URL of an endpoint") from None
    if key := key_in(url):
        shown = f"{parts.scheme}://{host}"
        raise ProviderError(
            f"{shown}: no key, or what may be one, in an address ({key}); name its variable in key_env of "
            f"{model or 'MODEL'}'s settings"
        )
    if not host:
        raise ProviderError(f"{opening.address!r} names no host; for example 'http://127.0.0.1:8000/v1#MODEL'")
    if not model.strip():
        raise ProviderError(f"{opening.address!r} names no model: write it behind a #, as in {url}#MODEL")
    return url, model.strip()


def _settings(opening: Opening) -> ModelSettings:
    return opening.of(NamedModels)[opening.rest.partition("#")[2].strip()]


def _key(model: str, settings: ModelSettings) -> str:
    if not settings.key_env:
        return ""
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise ProviderError(f"{model}: the key's variable {settings.key_env} is not set (key_env)")
    if not key.isascii() or not key.isprintable():
        raise ProviderError(f"{model}: what is in {settings.key_env} is no key: it has line breaks or such")
    return key


def _fits(opening: Opening) -> bool:
    _, model = _endpoint(opening)
    if opening.calls:
        _key(model, _settings(opening))
    return True


def _open(opening: Opening) -> ChatModel:
    (url, model), settings = _endpoint(opening), _settings(opening)
    return ChatModel(url, model, opening.images, settings, _key(model, settings) if opening.calls else "")


MODEL = ModelProvider(
    name="http",
    example="http://127.0.0.1:8000/v1#MODEL",
    fits=_fits,
    open=_open,
    identify=lambda opening: model_id(_endpoint(opening)[1], _settings(opening)),
    settings=_settings,
    placeless=True,
)
