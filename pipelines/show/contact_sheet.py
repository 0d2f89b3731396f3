"""A contact sheet: one trajectory as a picture, with its scene, boxes, crops, turns, evidence and verdict."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from gog.pipelines.lake.lake import LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.drawing import LINE, PAPER, QUIET, SHADE, Pen, badge, badge_width, disc, font, wrapped
from gog.pipelines.show.trajectory import Scene, TrajectoryView, Turn
from gog.schemas import Origin, Outcome, Trajectory, Verdict
from gog.transforms.image_store import ImageStore
from gog.transforms.images import ImageError, decode_image

WIDTH: Final = 1400
_MARGIN: Final = 32
_SCENE: Final = 600
_SCENES: Final = 900
"""Width of the question's pictures, and height of all of them together."""
_GAP: Final = 12
_CAPTION: Final = 26
_TURNS_AT: Final = _MARGIN + _SCENE + 40
_TURNS: Final = WIDTH - _MARGIN - _TURNS_AT
_CROP: Final = 132
_THUMB: Final = (30, 22)

_REGION: Final = "#8c959f"
_ORDER: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#5b4fc7")
"""Colours of the gazes, in their order: apart for every kind of colour vision."""

_COLOURS: Final = {
    "correct": "#1a7f37",
    "wrong": "#cf222e",
    "unknown": "#9a6700",
    "useful": "#1a7f37",
    "off target": "#cf222e",
    "ambiguous": "#9a6700",
}
"""Of outcomes and reflections."""


def pick_example(trajectories: Iterable[Trajectory], verdicts: Mapping[str, Verdict]) -> Trajectory | None:
    """The trajectory that shows most: right, reflective, of several tools, acted out; None of none."""

    def worth(trajectory: Trajectory) -> tuple[bool, bool, bool, int, bool, str]:
        verdict = verdicts.get(trajectory.trajectory_id)
        kept = verdict is not None and verdict.outcome is Outcome.CORRECT and not verdict.reasons
        gazes = sum(step.box is not None and bool(step.evidence_ids) for step in trajectory.steps)
        tools = len({step.action for step in trajectory.steps if step.evidence_ids})
        show = (kept, trajectory.reflective, gazes > 0, min(gazes, 2) + tools)
        return (*show, trajectory.origin is Origin.ROLLOUT, trajectory.trajectory_id)

    return max(trajectories, key=worth, default=None)


def contact_sheet(view: TrajectoryView, images: ImageStore) -> Image.Image:
    """Draw the trajectory, 1400 pixels wide and as high as it needs.

    Pictures that are missing or damaged leave a grey field. Regions are drawn thin.
    """
    head, left = _head(view), _left(view, images)
    cards = [_turn(turn, images) for turn in view.turns]
    height = max(left.height, sum(card.height for card in cards))
    sheet = Image.new("RGB", (WIDTH, head.height + height + 2 * _MARGIN), PAPER)
    sheet.paste(head, (0, 0))
    top = head.height + _MARGIN
    sheet.paste(left, (_MARGIN, top))
    for card in cards:
        sheet.paste(card, (_TURNS_AT, top))
        top += card.height
    return sheet


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _head(view: TrajectoryView) -> Image.Image:
    pen = Pen.on(WIDTH, SHADE)
    pen.y = 22
    pen.write(view.question, 26, x=_MARGIN, width=WIDTH - 2 * _MARGIN, lines=3, bold_step=36)
    trajectory = view.records.trajectory
    about = "  ·  ".join([*view.about, f"by {trajectory.teacher}", trajectory.trajectory_id])
    pen.y += 4
    pen.write(about, 15, x=_MARGIN, width=WIDTH - 2 * _MARGIN, fill=QUIET, lines=2)
    pen.y += 16
    pen.room(1)
    pen.draw.line((0, pen.y - 1, WIDTH, pen.y - 1), LINE)
    return pen.cut()


def _left(view: TrajectoryView, images: ImageStore) -> Image.Image:
    """The pictures of the question with their boxes, and under them answer and verdict."""
    pen = Pen.on(_SCENE)
    _scenes(pen, view.scenes, images)
    pen.y += 22
    pen.room(40)
    badge(pen.paper, (0, pen.y), view.outcome, _COLOURS.get(view.outcome, QUIET), 17)
    end = badge_width(view.outcome, 17)
    pen.y += 1
    pen.write(view.answer, 22, x=end + 14, width=_SCENE - end - 16, lines=2, bold_step=32)
    pen.y += 9
    turns, crops = view.taken, sum(turn.crop is not None for turn in view.turns)
    counts = f"{turns} turn{'s' * (turns != 1)}, {crops} crop{'s' * (crops != 1)}"
    for line in (f"accepted: {' | '.join(view.accepted)}", view.judgement, counts):
        pen.write(line, 15, width=_SCENE, fill=QUIET, lines=3)
    return pen.cut()


def _scenes(pen: Pen, scenes: Sequence[Scene], images: ImageStore) -> None:
    """One alone, two under one another, more in rows of two; several have their numbers under them."""
    columns = 1 if len(scenes) <= 2 else 2
    caption = _CAPTION if len(scenes) > 1 else 0
    width = (_SCENE - (columns - 1) * _GAP) // columns
    height = _SCENES // -(-len(scenes) // columns) - caption
    for start in range(0, len(scenes), columns):
        row = scenes[start : start + columns]
        drawn = [_scene(scene, images, (width, max(1, height))) for scene in row]
        tallest = max(picture.height for picture in drawn) + caption
        pen.room(tallest)
        for column, (scene, picture) in enumerate(zip(row, drawn, strict=True)):
            x = column * (width + _GAP)
            pen.paper.paste(picture, (x, pen.y))
            if caption:
                pen.draw.text((x, pen.y + picture.height), f"image {scene.number}", QUIET, font(14))
        pen.y += tallest


def _scene(scene: Scene, images: ImageStore, most: tuple[int, int]) -> Image.Image:
    """A picture with its regions and gazes, as large as fits in so many pixels."""
    picture = picture_of(images, scene.sha256) or Image.new("RGB", (scene.width, scene.height), LINE)
    scale = min(most[0] / picture.width, most[1] / picture.height)
    drawn = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    draw = ImageDraw.Draw(drawn)
    for region in scene.regions:
        draw.rectangle(_corners(region.box, drawn), outline=_REGION, width=1)
    for gaze in scene.gazes:
        left, top, right, bottom = _corners(gaze.box, drawn)
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=PAPER, width=6)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_ORDER[gaze.colour], width=4)
    for gaze in scene.gazes:  # over all the boxes
        left, top, _, _ = _corners(gaze.box, drawn)
        at = min(max(left, 14), drawn.width - 14), min(max(top, 14), drawn.height - 14)
        disc(drawn, at, gaze.name, _ORDER[gaze.colour], 14)
    return drawn


def _corners(box: tuple[float, float, float, float], image: Image.Image) -> tuple[int, int, int, int]:
    """Pixels of a box's corners on the image; the last ones lie inside."""
    width, height = image.width - 1, image.height - 1
    return round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height)


def _turn(turn: Turn, images: ImageStore) -> Image.Image:
    """A turn: its number and action, its crop and what came back, and what a later turn made of that."""
    pen = Pen.on(_TURNS)
    text = 46
    colour = _ORDER[turn.gaze.colour] if turn.gaze else QUIET
    disc(pen.paper, (15, 16), turn.name, colour, 15)
    title = f"{turn.title}: {one_line(turn.detail, 200)}" if turn.detail else turn.title
    pen.y += 4
    pen.write(title, 18, x=text, width=_TURNS - text, lines=2, bold_step=26)
    pen.y += 4
    width = _TURNS - text
    crop = picture_of(images, turn.crop.sha256) if turn.crop else None
    top = pen.y
    if crop is not None:
        crop = ImageOps.contain(crop, (_CROP, _CROP))
        pen.room(_CROP + 16)
        at = _TURNS - crop.width - 3, top + 3
        pen.paper.paste(crop, at)
        frame = (at[0] - 3, at[1] - 3, at[0] + crop.width + 2, at[1] + crop.height + 2)
        pen.draw.rectangle(frame, outline=colour, width=3)
        width -= _CROP + 22
    if turn.words:
        pen.write(turn.words, 15, x=text, width=width, lines=5)
        pen.y += 6
    _hits(pen, turn, text, width, images)
    for reflection in turn.reflections:
        pen.room(34)
        badge(pen.paper, (text, pen.y + 4), reflection.word, _COLOURS[reflection.word], 14)
        beside = text + badge_width(reflection.word, 14) + 10
        pen.draw.text((beside, pen.y + 8), f"says turn {reflection.turn} of this", QUIET, font(14))
        pen.y += 34
    if turn.error:
        pen.write(f"error: {turn.error}", 14, x=text, width=width, fill=_COLOURS["wrong"], lines=1)
    if not turn.train:
        pen.write("the loss does not see this turn", 14, x=text, width=width, fill=QUIET, lines=1)
    if crop is not None:
        pen.y = max(pen.y, top + crop.height + 8)
    pen.y += 12
    pen.room(20)
    if turn.action != "answer":
        pen.draw.line((text, pen.y, _TURNS, pen.y), LINE)
    pen.y += 14
    return pen.cut()


def _hits(pen: Pen, turn: Turn, x: int, width: int, images: ImageStore) -> None:
    """The best hits with their scores as bars."""
    if turn.trouble:
        pen.write(turn.trouble, 14, x=x, width=width, fill=QUIET, lines=1)
    bar = 64
    pictured = any(hit.thumbnail_sha256 for hit in turn.hits[:3])
    for hit in turn.hits[:3]:
        pen.room(30)
        at = x
        thumbnail = picture_of(images, hit.thumbnail_sha256) if hit.thumbnail_sha256 else None
        if thumbnail is not None:
            pen.paper.paste(ImageOps.contain(thumbnail, _THUMB), (at, pen.y))
        at += _THUMB[0] + 8 if pictured else 0
        if hit.score is not None:
            filled = round(bar * min(1.0, max(0.0, hit.score)))
            pen.draw.rectangle((at, pen.y + 7, at + bar, pen.y + 13), fill=SHADE, outline=LINE)
            pen.draw.rectangle((at, pen.y + 7, at + filled, pen.y + 13), fill=QUIET)
            pen.draw.text((at + bar + 8, pen.y + 1), f"{hit.score:.2f}", QUIET, font(14))
            at += bar + 50
        words = f"{hit.title}: {hit.snippet}" if hit.snippet and not pictured else hit.title
        line = wrapped(words, font(14), max(40, x + width - at), 1)
        pen.draw.text((at, pen.y + 1), line[0] if line else "", QUIET, font(14))
        pen.y += 25


def picture_of(images: ImageStore, sha256: str) -> Image.Image | None:
    """The pixels; None where the image is missing or damaged."""
    try:
        return decode_image(images.read(sha256))
    except (KeyError, ImageError, LakeError):
        return None
