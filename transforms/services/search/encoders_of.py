"""The encoder of an index: named when it is built, kept in its `index.json`, and opened again where it is searched."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.loop import shared
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import ENCODERS, check_installed, checked, open_service, provider_at
from gog.transforms.services.search.index_folder import IndexFolderError
from gog.transforms.services.search.vector_cells import check_library


@dataclass(frozen=True, slots=True)
class NamedEncoder:
    """An encoder, and the address that it was opened by."""

    address: str
    encoder: Encoder

    def head(self) -> dict[str, Any]:
        """What an index says of it."""
        return {"encoder": self.address, "precision": self.encoder.precision}


def open_encoder(address: str) -> NamedEncoder:
    """The encoder at an address, one a process; a path in it is made absolute. Raises `ProviderError`."""
    scheme, _, rest = address.partition(":")
    if scheme in ENCODERS and provider_at(ENCODERS, address).rest != "name" and Path(rest).exists():
        address = f"{scheme}:{Path(rest).resolve()}"
    return NamedEncoder(address, shared(("encoder", address), lambda: open_service(ENCODERS, Opening(address))))


def address_in(folder: Path, head: Mapping[str, Any]) -> str | None:
    """The address of the encoder of an index in a folder; None where it was made without one.

    A path that begins with `../` lies beside the index, as in a sealed world, and is made absolute.
    """
    address = head.get("encoder")
    if address is None:
        return None
    scheme, _, rest = str(address).partition(":")
    return f"{scheme}:{(folder / rest).resolve()}" if rest.startswith("../") else str(address)


def encoder_of(folder: Path, head: Mapping[str, Any], *, calls: bool = True) -> Encoder | None:
    """The encoder that an index was made with; None where it was made without one, or will not be asked (`calls`).

    Raises `ProviderError` where it is not to be had, or is another by now, or faiss is missing.
    """
    address = address_in(folder, head)
    if address is None or not calls:
        return None
    if head.get("approximate"):
        check_library()
    made = head.get("embedder")
    encoder = open_encoder(address).encoder
    if encoder.id != made:
        raise IndexFolderError(
            f"{folder} was made with the encoder {made}, and {address} is {encoder.id}: build it anew"
        )
    return encoder


def named_encoder(folder: Path, head: Mapping[str, Any]) -> NamedEncoder | None:
    """The same, with the address that the index has; raises as `encoder_of`."""
    encoder = encoder_of(folder, head)
    return NamedEncoder(str(head["encoder"]), encoder) if encoder is not None else None


def check_encoder(head: Mapping[str, Any], opening: Opening) -> None:
    """Raise `ProviderError` where the encoder that an index names, or faiss, is not to be had; loads and calls nothing.

    What is wrong with the index itself is told when it is opened.
    """
    address = head.get("encoder")
    if address is None or not opening.calls:
        return
    if head.get("approximate"):
        check_library()
    try:
        checked(ENCODERS, replace(opening, address=str(address)))
        check_installed(provider_at(ENCODERS, str(address)), str(address))
    except ProviderError as error:
        raise ProviderError(
            f"{opening.address}: the encoder of {opening.rest} is needed to search it: {error}"
        ) from None
