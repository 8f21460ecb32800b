"""Names of files in presigned downloads."""

import pytest

from steelyard.blobs.signing import content_disposition, with_file_name


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("model.safetensors", "attachment; filename=\"model.safetensors\"; filename*=UTF-8''model.safetensors"),
        ('a"b\\c/d%.bin', "attachment; filename=\"a_b_c_d_.bin\"; filename*=UTF-8''a%22b%5Cc%2Fd%25.bin"),
        ("żółw.bin", "attachment; filename=\"___w.bin\"; filename*=UTF-8''%C5%BC%C3%B3%C5%82w.bin"),
        ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie: b\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"),
    ],
)
def test_the_header_that_names_a_download(name: str, header: str) -> None:
    assert content_disposition(name) == header


def test_only_the_name_and_the_signature_are_new() -> None:
    url = (
        "https://weights.s3.eu-central-1.amazonaws.com/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=ID%2F20260102%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T030405Z"
        "&X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%2Bc%3D&X-Amz-SignedHeaders=host&X-Amz-Signature=0123"
    )

    named = with_file_name(url, "m.bin", "SECRET")

    kept, added = named.split("&response-content-disposition=")
    assert kept == url.removesuffix("&X-Amz-Signature=0123")
    assert added.startswith("attachment%3B%20filename%3D%22m.bin%22")
    assert len(added.partition("&X-Amz-Signature=")[2]) == 64
    assert "SECRET" not in named
