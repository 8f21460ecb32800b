"""Nothing here is downloaded: each model is made from its config, small, on the CPU."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are imported

import pytest
import torch
import transformers


@pytest.fixture(autouse=True)
def same_weights_each_time() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
