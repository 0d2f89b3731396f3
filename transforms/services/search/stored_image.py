"""The picture that a search is asked with."""

from PIL import Image

from gog.schemas import FailureClass
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import ImageError
from gog.transforms.services.protocols import ServiceError


def stored_image(images: ImageStore, sha256: str) -> Image.Image:
    """The RGB pixels of a stored image.

    Raises `ServiceError`: `not_found` where it is not stored, `bad_request` where it cannot be read.
    """
    try:
        return open_image(images, sha256)
    except KeyError as error:
        raise ServiceError(FailureClass.NOT_FOUND, f"image {sha256} is not stored") from error
    except ImageError as error:
        raise ServiceError(FailureClass.BAD_REQUEST, str(error)) from error
