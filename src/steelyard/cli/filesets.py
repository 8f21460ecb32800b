"""`steelyard filesets`: named sets of files, with the weights of models or the data of datasets."""

from steelyard.cli.resource import Field, Kind, Resource

FILESETS = Resource(
    noun="fileset",
    plural="filesets",
    path="/apis/files/v2/workspaces/{workspace}/filesets",
    about="Filesets: named sets of files, each state of which is kept; `files` looks into them, `push` fills them.",
    columns=("name", "purpose", "file_count", "total_size", "description", "updated_at"),
    fields=(
        Field("description", "What is in it."),
        Field(
            "purpose",
            "What it is for: model, dataset or generic.",
            metavar="PURPOSE",
            choices=("model", "dataset", "generic"),
            clearable=False,
        ),
        Field("project", "The project that it belongs to."),
        Field("metadata", "What is said of the content, as JSON, @file or -.", Kind.JSON),
        Field("custom_fields", "Anything of your own, as JSON, @file or -.", Kind.JSON),
        Field(
            "storage", "Where its files come from, as JSON, @file or -; our own when not given.", Kind.JSON, fixed=True
        ),
        Field("cache", "Of a source: fetch all files now, not each when it is first read.", Kind.SWITCH, fixed=True),
    ),
    examples=(
        "steelyard filesets create support-7b --purpose model",
        """steelyard filesets create llama --storage '{"type": "huggingface", "repo_id": "org/llama"}'""",
        "steelyard filesets update support-7b --description 'Weights of the third run'",
    ),
)
