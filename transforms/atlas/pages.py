"""What there is to find in the bundled world: a picture of every flag, an article on every country."""

import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.transforms.atlas.facts import Country, by_code, countries, flag


class GalleryPicture(NamedTuple):
    """A picture that image search finds."""

    url: str
    title: str
    snippet: str
    image: Image.Image


class Article(NamedTuple):
    """A page that text search finds."""

    url: str
    title: str
    text: str


def gallery_pictures() -> Iterator[GalleryPicture]:
    """A picture of every flag, drawn otherwise than in the scenes: waving before a sky, in another shape."""
    for country in countries():
        rng = random.Random(f"gallery:{country.code}")
        yield GalleryPicture(
            url=f"atlas://flag/{country.code}",
            title=f"Flag of {country.in_text}",
            snippet=f"The national flag of {country.in_text}.",
            image=waving(rng, flag(country.code)),
        )


def waving(rng: random.Random, picture: Image.Image) -> Image.Image:
    """The flag in the wind: folds of light and shade, a wavy hem, a little sky around it."""
    width = rng.randint(300, 380)
    height = round(width / rng.choice((1.5, 1.6, 1.4)))
    cloth = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    phase, folds = rng.uniform(0, 6.28), rng.uniform(1.2, 2.4)
    across = np.arange(width, dtype=np.float32) / width
    wave = np.sin(folds * 6.28 * across + phase) * across**0.5
    shade = 1 + 0.09 * np.cos(folds * 6.28 * across + phase) * across**0.5
    swing = rng.uniform(0.012, 0.022) * height
    margin_x, margin_y = round(width * rng.uniform(0.01, 0.05)), round(height * rng.uniform(0.03, 0.06) + swing)
    sky = np.linspace((140, 180, 226), (206, 222, 238), height + 2 * margin_y).astype(np.float32)[:, None, :]
    canvas: NDArray[np.float32] = np.repeat(sky, width + 2 * margin_x, axis=1)
    tops = margin_y + np.rint(wave * swing).astype(np.int64)
    canvas[tops[None] + np.arange(height)[:, None], margin_x + np.arange(width)[None]] = cloth * shade[None, :, None]
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def articles() -> list[Article]:
    """An article per country, one per subregion, and a few on flags and currencies that many countries share."""
    return [*map(_country_article, countries()), *_subregion_articles(), *_list_articles()]


def _country_article(country: Country) -> Article:
    name = country.in_text
    head = name[0].upper() + name[1:]
    capital = _listed(country.capitals)
    plural = len(country.capitals) > 1
    paragraphs = [
        f"{head}{_official(country)} is a country in {_region(country)}.",
        f"The area of {name} is {_number(country.area)} square kilometres (km2).",
        f"The capital{'s' if plural else ''} of {name} {'are' if plural else 'is'} {capital}.",
        f"The subregion of {name} is {country.subregion}, a part of {_continent(country)}.",
        _money(country),
        _languages(country),
        _borders(country),
    ]
    if country.demonym:
        paragraphs.append(f"Somebody or something from {name} is called {country.demonym}.")
    if country.aliases:
        paragraphs.append(f"{head} is also known as {_listed(country.aliases[:4], 'or')}.")
    return Article(country.page, country.name, "\n\n".join(p for p in paragraphs if p))


def _region(country: Country) -> str:
    the = "the " if country.subregion == "Caribbean" else ""
    return f"{the}{country.subregion}"


def _continent(country: Country) -> str:
    return "the Americas" if country.continent == "Americas" else country.continent


def _official(country: Country) -> str:
    return f" ({country.official})" if country.official not in (country.name, country.in_text) else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _money(country: Country) -> str:
    money = _listed([f"{name} ({code})" for code, name in country.currencies])
    if not money:
        return ""
    if len(country.currencies) == 1:
        return f"The currency of {country.in_text} is the {money}."
    return f"Several currencies are legal tender in {country.in_text}: {money}."


def _languages(country: Country) -> str:
    if len(country.languages) == 1:
        return f"The official language of {country.in_text} is {country.languages[0]}."
    return f"The official languages of {country.in_text} are {_listed(country.languages)}."


def _borders(country: Country) -> str:
    known = by_code()
    borders = [known[code].in_text for code in country.borders if code in known]
    name = country.in_text[0].upper() + country.in_text[1:]
    coast = "is landlocked: it has no coast" if country.landlocked else "is not landlocked: it has a coast"
    return f"{name} {coast}." + (f" It borders {_listed(borders)}." if borders else "")


def _listed(names: tuple[str, ...] | list[str], joint: str = "and") -> str:
    """The names as a sentence lists them."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {joint} {names[-1]}"


def _subregion_articles() -> Iterator[Article]:
    groups: dict[str, list[Country]] = {}
    for country in countries():
        groups.setdefault(country.subregion, []).append(country)
    for subregion, group in sorted(groups.items()):
        slug = subregion.lower().replace(" ", "-")
        text = (
            f"{subregion} is a subregion of {_continent(group[0])}. "
            f"Its countries are {_listed([c.in_text for c in group])}."
        )
        yield Article(f"atlas://subregion/{slug}", subregion, text)


def _list_articles() -> Iterator[Article]:
    known = by_code()
    alike = []
    for country in countries():
        others = [f"that of {known[code].in_text}" for code in (*country.twins, *country.lookalikes)]
        if others:
            alike.append(f"The flag of {country.in_text} resembles {_listed(others)}.")
    yield Article("atlas://list/similar-flags", "Flags that look alike", "\n".join(alike))
    money: dict[str, list[str]] = {}
    for country in countries():
        for _, name in country.currencies:
            money.setdefault(name, []).append(country.in_text)
    shared = [f"The {n} is used in {_listed(where)}." for n, where in sorted(money.items()) if len(where) > 1]
    yield Article("atlas://list/shared-currencies", "Currencies used in several countries", "\n".join(shared))
    inland = [country.in_text for country in countries() if country.landlocked]
    yield Article("atlas://list/landlocked", "Countries without a coast", f"No coast have {_listed(inland)}.")
