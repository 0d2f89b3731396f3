from gog.transforms.services.store.forms import BOUGHT, FORMS


def test_all_is_bought_but_what_is_made_here() -> None:
    assert set(FORMS) - set(BOUGHT) == {"crop", "crop_hashes"}
    assert set(BOUGHT) <= set(FORMS)
