"""A contact sheet: one trajectory as a picture, with its scene, boxes, crops, turns, evidence and verdict."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from gog.pipelines.lake.lake import LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.drawing import INK, LINE, PAPER, QUIET, SHADE, Pen, badge, badge_width, disc, font, wrapped
from gog.schemas import Evidence, Message, Origin, Outcome, Reflection, Region, Seed, Step, Tool, Trajectory, Verdict
from gog.transforms.dialect.turns import plain_text
from gog.transforms.images import ImageError, ImageStore, decode_image

WIDTH: Final = 1400
_MARGIN: Final = 32
_SCENE: Final = 600
_TURNS_AT: Final = _MARGIN + _SCENE + 40
_TURNS: Final = WIDTH - _MARGIN - _TURNS_AT
_CROP: Final = 132
_THUMB: Final = (30, 22)

_REGION: Final = "#8c959f"
_ORDER: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#5b4fc7")
"""Colours of the gazes, in their order: apart for every kind of colour vision."""

_REFLECTIONS: Final = {
    Reflection.USEFUL: ("useful", "#1a7f37"),
    Reflection.OFF_TARGET: ("off target", "#cf222e"),
    Reflection.AMBIGUOUS: ("ambiguous", "#9a6700"),
}
_OUTCOMES: Final = {Outcome.CORRECT: "#1a7f37", Outcome.WRONG: "#cf222e", Outcome.UNKNOWN: "#9a6700"}
_ACTIONS: Final = {
    "text_search": "text search",
    "image_search": "glance: search with the whole image",
    "gaze": "gaze",
    "answer": "answer",
    "none": "no action",
}


def pick_example(trajectories: Iterable[Trajectory], verdicts: Mapping[str, Verdict]) -> Trajectory | None:
    """The trajectory that shows most: right, reflective, of several tools, acted out; None of none."""

    def worth(trajectory: Trajectory) -> tuple[bool, bool, bool, int, bool, str]:
        verdict = verdicts.get(trajectory.trajectory_id)
        kept = verdict is not None and verdict.outcome is Outcome.CORRECT and not verdict.reasons
        gazes = sum(step.action == "gaze" and bool(step.evidence_ids) for step in trajectory.steps)
        tools = len({step.action for step in trajectory.steps if step.evidence_ids})
        show = (kept, trajectory.reflective, gazes > 0, min(gazes, 2) + tools)
        return (*show, trajectory.origin is Origin.ROLLOUT, trajectory.trajectory_id)

    return max(trajectories, key=worth, default=None)


def contact_sheet(
    trajectory: Trajectory,
    seed: Seed,
    evidence: Mapping[str, Evidence],
    verdict: Verdict | None,
    images: ImageStore,
    regions: Sequence[Region] = (),
) -> Image.Image:
    """Draw the trajectory, 1400 pixels wide and as high as it needs.

    `evidence` by id. Pictures that are missing or damaged leave a grey field. `regions` are drawn thin, for those
    who want to see what was proposed.
    """
    said = [message for message in trajectory.messages if message.role == "assistant"]
    cards = []
    gazes = judged = 0
    for step, message in zip(trajectory.steps, said, strict=True):
        colour = QUIET
        if step.action == "gaze" and step.box is not None:
            colour = _ORDER[gazes % len(_ORDER)]
            gazes += 1
        found = [evidence[i] for i in step.evidence_ids if i in evidence]
        cards.append(_turn(step, message, found, colour, judged, images))
        judged = step.turn + 1 if step.evidence_ids else judged
    head = _head(trajectory, seed)
    left = _left(trajectory, seed, verdict, images, regions)
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


def _head(trajectory: Trajectory, seed: Seed) -> Image.Image:
    pen = Pen.on(WIDTH, SHADE)
    pen.y = 22
    for line in wrapped(seed.question, font(26, bold=True), WIDTH - 2 * _MARGIN, 3):
        pen.room(40)
        pen.draw.text((_MARGIN, pen.y), line, INK, font(26, bold=True))
        pen.y += 36
    what = [seed.dataset, seed.category, str(trajectory.origin), str(trajectory.behaviour)]
    what += ["reflective"] if trajectory.reflective else []
    what += [f"by {trajectory.teacher}", trajectory.trajectory_id]
    pen.y += 4
    pen.write("  ·  ".join(filter(None, what)), 15, x=_MARGIN, width=WIDTH - 2 * _MARGIN, fill=QUIET, lines=2)
    pen.y += 16
    pen.room(1)
    pen.draw.line((0, pen.y - 1, WIDTH, pen.y - 1), LINE)
    return pen.cut()


def _left(
    trajectory: Trajectory, seed: Seed, verdict: Verdict | None, images: ImageStore, regions: Sequence[Region]
) -> Image.Image:
    """The scene with its boxes, and under it answer and verdict."""
    pen = Pen.on(_SCENE)
    scene = _scene(trajectory, seed, images, regions)
    pen.room(scene.height)
    pen.paper.paste(scene, (0, 0))
    pen.y = scene.height + 22
    fill = _OUTCOMES[verdict.outcome] if verdict else QUIET
    pen.room(40)
    mark = str(verdict.outcome) if verdict else "not verified"
    badge(pen.paper, (0, pen.y), mark, fill, 17)
    end = badge_width(mark, 17)
    answer = trajectory.answer if trajectory.answer is not None else f"no answer: {trajectory.stop}"
    large = font(22, bold=True)
    for line in wrapped(answer, large, _SCENE - end - 16, 2):
        pen.room(34)
        pen.draw.text((end + 14, pen.y + 1), line, INK, large)
        pen.y += 32
    pen.y += 10
    pen.write(f"accepted: {' | '.join(seed.answers)}", 15, width=_SCENE, fill=QUIET, lines=3)
    if verdict is not None:
        pen.write(_verdict_text(verdict), 15, width=_SCENE, fill=QUIET, lines=3)
    pen.write(f"{len(trajectory.steps)} turns, {len(trajectory.images) - 1} crops", 15, width=_SCENE, fill=QUIET)
    return pen.cut()


def _verdict_text(verdict: Verdict) -> str:
    said = [f"settled by {verdict.method}"]
    said += ["grounded in the evidence" if verdict.grounded else "not grounded"] if verdict.grounded is not None else []
    if verdict.gaze_useful is not None:
        said.append("the gaze found the target" if verdict.gaze_useful else "no gaze found the target")
    said += ["leaked"] if verdict.leaked else []
    return ", ".join(said) + (f"; leaves for {', '.join(verdict.reasons)}" if verdict.reasons else "")


def _scene(trajectory: Trajectory, seed: Seed, images: ImageStore, regions: Sequence[Region]) -> Image.Image:
    picture = _picture(images, seed.image_sha256)
    if picture is None:
        picture = Image.new("RGB", (seed.width, seed.height), LINE)
    scale = min(_SCENE / picture.width, 900 / picture.height)
    scene = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    draw = ImageDraw.Draw(scene)
    for region in regions:
        draw.rectangle(_corners(region.box, scene), outline=_REGION, width=1)
    boxes = [(step.turn, step.box) for step in trajectory.steps if step.action == "gaze" and step.box is not None]
    for number, (_, box) in enumerate(boxes):
        left, top, right, bottom = _corners(box, scene)
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=PAPER, width=6)
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_ORDER[number % len(_ORDER)], width=4)
    for number, (turn, box) in enumerate(boxes):  # over all the boxes
        left, top, _, _ = _corners(box, scene)
        at = min(max(left, 14), scene.width - 14), min(max(top, 14), scene.height - 14)
        disc(scene, at, str(turn + 1), _ORDER[number % len(_ORDER)], 14)
    canvas = Image.new("RGB", (_SCENE, scene.height), PAPER)
    canvas.paste(scene, (0, 0))
    return canvas


def _corners(box: tuple[float, float, float, float], image: Image.Image) -> tuple[int, int, int, int]:
    """Pixels of a box's corners on the image; the last ones lie inside."""
    width, height = image.width - 1, image.height - 1
    return round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height)


def _turn(
    step: Step, message: Message, found: Sequence[Evidence], colour: str, judged: int, images: ImageStore
) -> Image.Image:
    """A turn: its number and action, what it thought of the result of turn `judged`, its crop and what came back."""
    pen = Pen.on(_TURNS)
    text = 46
    disc(pen.paper, (15, 16), str(step.turn + 1), colour, 15)
    title = _title(step)
    bold = font(18, bold=True)
    room = _TURNS - text
    if step.reflection is not None:
        words, fill = _REFLECTIONS[step.reflection]
        words = f"result {judged}: {words}" if judged else words
        width = badge_width(words, 14)
        badge(pen.paper, (_TURNS - width, 4), words, fill, 14)
        room -= width + 12
    for line in wrapped(title, bold, room, 2):
        pen.draw.text((text, pen.y + 4), line, INK, bold)
        pen.y += 26
    pen.y += 8
    width = _TURNS - text
    crop = next((_picture(images, e.image_sha256) for e in found if e.tool is Tool.GAZE and e.image_sha256), None)
    top = pen.y
    if crop is not None:
        crop = ImageOps.contain(crop, (_CROP, _CROP))
        pen.room(_CROP + 16)
        at = _TURNS - crop.width - 3, top + 3
        pen.paper.paste(crop, at)
        frame = (at[0] - 3, at[1] - 3, at[0] + crop.width + 2, at[1] + crop.height + 2)
        pen.draw.rectangle(frame, outline=colour, width=3)
        width -= _CROP + 22
    thought = thought_of(step, message)
    if thought:
        pen.write(thought, 15, x=text, width=width, lines=5)
        pen.y += 6
    for item in found:
        _hits(pen, item, text, width, images)
    if step.error:
        pen.write(f"error: {step.error}", 14, x=text, width=width, fill=_OUTCOMES[Outcome.WRONG], lines=1)
    if not step.train:
        pen.write("the loss does not see this turn", 14, x=text, width=width, fill=QUIET, lines=1)
    if crop is not None:
        pen.y = max(pen.y, top + crop.height + 8)
    pen.y += 12
    pen.room(20)
    if step.action != "answer":
        pen.draw.line((text, pen.y, _TURNS, pen.y), LINE)
    pen.y += 14
    return pen.cut()


def _title(step: Step) -> str:
    what = _ACTIONS[step.action]
    detail = {"text_search": "query", "gaze": "label", "answer": "text"}.get(step.action, "")
    said = one_line(step.arguments.get(detail) or "", 200)
    return f"{what}: {said}" if said else what


def thought_of(step: Step, message: Message) -> str:
    """What the turn says besides its call, its answer and the judgement that the badge shows."""
    thought = one_line(plain_text(message))
    answer = step.arguments.get("text") if step.action == "answer" else None
    if answer is not None:
        thought = thought.replace(f"<answer>{one_line(answer)}</answer>", "").strip()
    return thought


def _hits(pen: Pen, evidence: Evidence, x: int, width: int, images: ImageStore) -> None:
    """The best hits with their scores as bars."""
    if evidence.failure is not None:
        pen.write(f"failed: {evidence.failure}", 14, x=x, width=width, fill=QUIET, lines=1)
    elif not evidence.hits:
        pen.write("found nothing", 14, x=x, width=width, fill=QUIET, lines=1)
    bar = 64
    pictured = any(hit.thumbnail_sha256 for hit in evidence.hits[:3])
    for hit in evidence.hits[:3]:
        pen.room(30)
        at = x
        thumbnail = _picture(images, hit.thumbnail_sha256) if hit.thumbnail_sha256 else None
        if thumbnail is not None:
            pen.paper.paste(ImageOps.contain(thumbnail, _THUMB), (at, pen.y))
        at += _THUMB[0] + 8 if pictured else 0
        if hit.score is not None:
            filled = round(bar * min(1.0, max(0.0, hit.score)))
            pen.draw.rectangle((at, pen.y + 7, at + bar, pen.y + 13), fill=SHADE, outline=LINE)
            pen.draw.rectangle((at, pen.y + 7, at + filled, pen.y + 13), fill=QUIET)
            pen.draw.text((at + bar + 8, pen.y + 1), f"{hit.score:.2f}", QUIET, font(14))
            at += bar + 50
        words = f"{hit.title}: {hit.snippet}" if evidence.tool is Tool.TEXT_SEARCH and hit.snippet else hit.title
        line = wrapped(words, font(14), max(40, x + width - at), 1)
        pen.draw.text((at, pen.y + 1), line[0] if line else "", QUIET, font(14))
        pen.y += 25


def _picture(images: ImageStore, sha256: str) -> Image.Image | None:
    try:
        return decode_image(images.read(sha256))
    except (KeyError, ImageError, LakeError):
        return None
