"""The protocol of the Hugging Face Hub over filesets, read and write: `HF_ENDPOINT` is `…/apis/files/v2/hf`."""

from fastapi import APIRouter

from steelyard.api.hub import commits, lfs, reads, repositories, xet

router = APIRouter()
for _part in (xet, repositories, lfs, commits, reads):
    router.routes.extend(_part.router.routes)
