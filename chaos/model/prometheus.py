"""The Prometheus that scrapes the mesh, or another back end with its API, and the credentials for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)

from chaos.errors import InputError, Setting
from chaos.values.declared import Declared, told
from chaos.values.secrets import NAMED, Address, is_url, without_secrets

VARIABLE: Final = "CHAOS_PROMETHEUS"
"""The variable of its URL; those of the others are called so, too, such as ``CHAOS_PROMETHEUS_BEARER``."""
_SOURCE: Final = re.compile(r"(env|file):\S.*")
_HOOK: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_WORDS: Final = {"true": True, "false": False}


def _source(text: str) -> str:
    if not _SOURCE.fullmatch(text):
        raise ValueError(
            "expected env:NAME or file:PATH, which say where the secret is read; the secret itself has no place here"
        )
    return text


def _hook(text: str) -> str:
    if not _HOOK.fullmatch(text):
        raise ValueError("expected module:function, such as company.metrics:sigv4")
    return text


def _file(path: str) -> str:
    if "-----BEGIN" in path or "\n" in path:
        raise ValueError(
            "expected the path of a file; a certificate or a key itself has no place here (it is not shown)"
        )
    return path


def _url(url: Any) -> Any:
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    if not isinstance(text, str):
        raise ValueError("expected a URL such as http://prometheus.istio-system:9090")
    if not is_url(text.strip()):
        raise ValueError(f"expected a URL such as http://prometheus.istio-system:9090, got {without_secrets(text)!r}")
    return Address(text.strip().rstrip("/"))


Url = Annotated[Address, BeforeValidator(_url), PlainSerializer(str, when_used="json")]
Source = Annotated[str, AfterValidator(_source)]
"""Where a secret is read, each time that it is needed: ``env:NAME`` or ``file:PATH``."""
File = Annotated[str, Field(min_length=1), AfterValidator(_file)]


def address(url: str, whence: str, *, example: str) -> Address:
    """An address that was not in a file of settings.

    Raises:
        InputError: it is no URL.
    """
    text = url.strip()  # what is read from a file ends in a newline
    if not is_url(text):
        raise InputError(f"{whence}: expected a URL, got {without_secrets(text)!r}", hint=f"for example {example}")
    return Address(text.rstrip("/"))


class Prometheus(Declared):
    """Where Prometheus is, and the credentials for it. Secrets are named by their place, and never shown.

    Args:
        url: Its address, with a path where its API has a prefix; its query goes along with every request.
        bearer: Where the bearer token is read: ``env:NAME``, or ``file:PATH``, which is read again for every request.
        user: User name, for basic authentication.
        password: Where the password is read.
        headers: Further headers, such as a tenant's ``X-Scope-OrgID``; a value may be ``env:NAME`` or ``file:PATH``.
        ca: File with the authorities that are trusted.
        certificate: File with the client's certificate.
        key: File with its key, if that is not in the same file.
        insecure: Take any certificate.
        auth: ``module:function`` that makes an authentication for ``requests``, such as SigV4's or OAuth2's.

    Raises:
        InputError: a value can't be used.
    """

    model_config = ConfigDict(alias_generator=None)
    positional: ClassVar[tuple[str, ...]] = ("url",)

    url: Url | None = None
    bearer: Source | None = None
    user: str | None = Field(None, min_length=1)
    password: Source | None = None
    headers: Annotated[Mapping[str, SecretStr], NAMED] = Field(default_factory=dict)
    ca: File | None = None
    certificate: File | None = None
    key: File | None = None
    insecure: bool = Field(False, strict=True)
    auth: Annotated[str, AfterValidator(_hook)] | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            url: str | None = None,
            *,
            bearer: str | None = None,
            user: str | None = None,
            password: str | None = None,
            headers: Mapping[str, str] = ...,
            ca: str | None = None,
            certificate: str | None = None,
            key: str | None = None,
            insecure: bool = False,
            auth: str | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _by_url(cls, given: Any) -> Any:
        if isinstance(given, str | SecretStr):
            return {"url": given}
        if not isinstance(given, Mapping | Prometheus):
            raise ValueError("expected its URL, or a table with url and credentials")
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ways = [name for name in ("bearer", "user", "auth") if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"expected one way to authenticate, got {' and '.join(ways)}")
        if bool(self.user) != bool(self.password):
            raise ValueError("expected user and password together")
        if self.key and not self.certificate:
            raise ValueError("key is for a certificate, and there is none")
        if self.insecure and self.ca:
            raise ValueError("ca and insecure exclude each other: with insecure any certificate is accepted")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment from which secrets are read."""
        sources = (self.bearer, self.password, *(value.get_secret_value() for value in self.headers.values()))
        return tuple(one.removeprefix("env:") for one in sources if one and one.startswith("env:"))

    def at(self, url: Address | None) -> Self:
        """The same at another address, if there is one."""
        return self if url is None else self.model_copy(update={"url": url})

    def with_access(self, given: Iterable[str], *, whence: str = f"{Setting.PROMETHEUS_ACCESS}") -> Self:
        """The same with other ways in: ``bearer=env:TOKEN``, ``headers.X-Scope-OrgID=staging``, ``insecure=true``.

        Args:
            given: What is to be replaced.
            whence: Where it was given, for messages.

        Raises:
            InputError: one can't be used.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        headers = dict(self.headers)
        for one in given:
            name, equals, value = one.partition("=")
            key, _, header = name.strip().partition(".")
            if not equals or key not in values or bool(header) != (key == "headers"):
                known = ", ".join(f"{name}=…" for name in values if name not in ("url", "headers"))
                got = f"got {name.strip()!r}" if equals else "and one has no = (it is not shown)"
                raise InputError(
                    f"{whence}: expected a credential or TLS setting and its value, {got}",
                    hint=f"one of {known}, headers.NAME=…",
                )
            if header:
                headers[header] = SecretStr(value.strip())
            else:
                values[key] = _WORDS.get(value.strip(), value.strip()) if key == "insecure" else value.strip()
        try:
            return type(self).model_validate({**values, "headers": headers})
        except ValidationError as error:
            raise InputError(f"{whence}: {'; '.join(told(error))}") from None
