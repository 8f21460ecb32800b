"""What importing and calling a name would do to whoever unpickles it.

Lists of what is dangerous are never complete, so it is what is *safe* that is listed in full: everything else is at
least unknown, which a policy can refuse. What is known to run code, to reach the network or to write files is told as
dangerous, to be read before the rest.
"""

import _compat_pickle
from collections.abc import Mapping
from typing import Literal

Safety = Literal["safe", "unknown", "dangerous"]

_TENSORS = ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
_STORAGES = (*_TENSORS, "ComplexDouble", "ComplexFloat", "QInt32", "QInt8", "QUInt2x4", "QUInt4x2", "QUInt8")

# Names whose call makes data and nothing else, whatever its arguments are.
_SAFE: Mapping[str, frozenset[str]] = {
    "_codecs": frozenset({"encode"}),
    "argparse": frozenset({"Namespace"}),
    "array": frozenset({"_array_reconstructor", "array"}),
    "builtins": frozenset(
        {
            *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range"),
            *("set", "slice", "str", "tuple", "Ellipsis", "NotImplemented"),
        }
    ),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque"}),
    "copyreg": frozenset({"_reconstructor", "__newobj__", "__newobj_ex__"}),
    "datetime": frozenset({"date", "datetime", "time", "timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "joblib.numpy_pickle": frozenset({"NumpyArrayWrapper"}),
    "pathlib": frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}),
    # Where Python 3.13 keeps the same classes.
    "pathlib._local": frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"}),
    "types": frozenset({"SimpleNamespace"}),
    "uuid": frozenset({"UUID"}),
    "numpy": frozenset(
        {
            *(
                "dtype",
                "ndarray",
                "bool_",
                "float16",
                "float32",
                "float64",
                "complex64",
                "complex128",
                "str_",
                "bytes_",
            ),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "longlong", "ulonglong"),
            *("datetime64", "timedelta64", "void", "longdouble"),
        }
    ),
    **dict.fromkeys(("numpy.core.multiarray", "numpy._core.multiarray"), frozenset({"_reconstruct", "scalar"})),
    "numpy.core._internal": frozenset({"_reconstruct"}),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), frozenset({"_frombuffer"})),
    "numpy.random._pickle": frozenset({"__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"}),
    **{
        f"numpy.random.{module}": frozenset({name})
        for module, name in (("_mt19937", "MT19937"), ("_pcg64", "PCG64"), ("_philox", "Philox"), ("_sfc64", "SFC64"))
    },
    "numpy.random.bit_generator": frozenset({"SeedSequence", "__pyx_unpickle_SeedSequence"}),
    "numpy.ma.core": frozenset({"_mareconstruct", "MaskedArray"}),
    "scipy.sparse._csr": frozenset({"csr_matrix", "csr_array"}),
    "scipy.sparse._csc": frozenset({"csc_matrix", "csc_array"}),
    "torch": frozenset(
        {
            *("Size", "Tensor", "device", "dtype", "finfo", "layout", "memory_format"),
            *(f"{name}Tensor" for name in _TENSORS),
            *(f"{name}Storage" for name in _STORAGES),
            *("bfloat16", "bool", "float16", "float32", "float64", "half", "float", "double"),
            *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
            *("float4_e2m1fn_x2", "complex32", "complex64", "complex128", "quint8", "qint8", "qint32", "quint4x2"),
            *("quint2x4", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "long", "int", "short"),
            *(f"{sign}int{bits}" for sign in ("", "u") for bits in (1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64)),
            *("per_channel_affine", "per_channel_affine_float_qparams", "per_channel_symmetric"),
            *("per_tensor_affine", "per_tensor_symmetric", "strided", "sparse_coo", "sparse_csr"),
            *("contiguous_format", "channels_last", "preserve_format"),
        }
    ),
    "torch._tensor": frozenset({"Tensor", "_rebuild_from_type_v2"}),
    "torch._utils": frozenset(
        {
            *("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"),
            *("_rebuild_parameter_with_state", "_rebuild_sparse_tensor", "_rebuild_qtensor"),
            *("_rebuild_nested_tensor", "_rebuild_meta_tensor_no_storage", "_rebuild_wrapper_subclass"),
            *("_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_xla_tensor"),
        }
    ),
    **dict.fromkeys(("torch.cuda", "torch.sparse", "torch.cuda.sparse"), frozenset(f"{n}Tensor" for n in _TENSORS)),
    "torch.jit._pickle": frozenset(
        {
            *("build_boollist", "build_doublelist", "build_intlist", "build_tensor_from_id", "build_tensorlist"),
            "restore_type_tag",
        }
    ),
    "torch.nn.parameter": frozenset({"Buffer", "Parameter"}),
    "torch.serialization": frozenset({"_get_layout"}),
    "torch.storage": frozenset({"TypedStorage", "UntypedStorage", "_LegacyStorage"}),
}

# Exact names that run code, load more pickles, reach files, or hand out anything by its name.
_DANGEROUS_NAMES: Mapping[str, frozenset[str]] = {
    "builtins": frozenset(
        {
            *("__build_class__", "__import__", "__loader__", "apply", "breakpoint", "compile", "copyright", "credits"),
            *("delattr", "eval", "exec", "execfile", "exit", "file", "filter", "getattr", "globals", "help", "input"),
            *("license", "locals", "map", "open", "quit", "raw_input", "reduce", "reload", "setattr", "vars"),
        }
    ),
    "collections": frozenset({"namedtuple"}),
    "copyreg": frozenset({"add_extension", "constructor", "pickle"}),
    "dataclasses": frozenset({"make_dataclass"}),
    "enum": frozenset({"_make_class_unpicklable"}),
    "functools": frozenset({"cached_property", "partial", "partialmethod", "reduce", "singledispatch", "wraps"}),
    "joblib": frozenset({"load", "Parallel", "Memory"}),
    "jsonpickle": frozenset({"decode"}),
    "logging": frozenset({"FileHandler", "basicConfig"}),
    "numpy": frozenset({"DataSource", "fromfile", "fromregex", "genfromtxt", "load", "loadtxt", "memmap", "save"}),
    "pandas": frozenset({"eval", "read_csv", "read_pickle", "to_pickle"}),
    "tensorflow": frozenset({"py_function", "numpy_function"}),
    "torch": frozenset({"compile", "load", "save", "import_ir_module"}),
    "torch.serialization": frozenset({"load", "save"}),
    "torch.storage": frozenset({"_load_from_bytes"}),
    "typing": frozenset({"get_type_hints", "ForwardRef", "NamedTuple"}),
    "uuid": frozenset({"_get_command_stdout", "_popen"}),
    "yaml": frozenset({"load", "unsafe_load", "full_load"}),
}

# Modules of which nothing is safe to import, with all that is below them.
_DANGEROUS_MODULES = frozenset(
    {
        # the operating system and other processes
        *(
            "os",
            "posix",
            "nt",
            "subprocess",
            "_posixsubprocess",
            "_winapi",
            "pty",
            "tty",
            "signal",
            "resource",
            "fcntl",
        ),
        *(
            "commands",
            "popen2",
            "multiprocessing",
            "_multiprocessing",
            "concurrent",
            "asyncio",
            "_asyncio",
            "threading",
        ),
        *(
            "_thread",
            "thread",
            "dummy_threading",
            "sched",
            "atexit",
            "gc",
            "sys",
            "platform",
            "sysconfig",
            "_sysconfig",
        ),
        *("_aix_support", "_osx_support", "_pyrepl", "mmap", "msvcrt", "winreg", "_winreg", "crypt", "grp", "pwd"),
        # code, and what runs, finds, loads, inspects or changes it
        *("code", "codeop", "runpy", "importlib", "_frozen_importlib", "_frozen_importlib_external", "imp", "_imp"),
        *("pkgutil", "pkg_resources", "zipimport", "zipapp", "modulefinder", "site", "types", "new", "_types"),
        *("inspect", "ast", "dis", "opcode", "marshal", "_marshal", "compileall", "py_compile", "symtable"),
        *("operator", "_operator", "_functools", "six.moves", "sklearn.externals", "joblib.externals"),
        *("bdb", "pdb", "trace", "tracemalloc", "timeit", "profile", "cProfile", "_lsprof", "pstats", "faulthandler"),
        *("doctest", "unittest", "test", "pydoc", "idlelib", "lib2to3", "cmd", "rlcompleter", "antigravity", "this"),
        *("pip", "setuptools", "_distutils_hack", "distutils", "ensurepip", "venv", "wheel", "pipes", "linecache"),
        *("ctypes", "_ctypes", "cffi", "_cffi_backend", "llvmlite", "numba", "cython", "Cython", "pyximport"),
        # other pickles
        *("pickle", "_pickle", "cPickle", "pickletools", "shelve", "dbm", "dill", "cloudpickle", "jsonpickle"),
        # the network
        *("socket", "_socket", "ssl", "_ssl", "select", "selectors", "socketserver", "SocketServer", "http", "httplib"),
        *("urllib", "urllib2", "urllib3", "ftplib", "poplib", "imaplib", "nntplib", "smtplib", "smtpd", "telnetlib"),
        *("xmlrpc", "xmlrpclib", "wsgiref", "webbrowser", "cgi", "cgitb", "requests", "httpx", "aiohttp", "paramiko"),
        *("fabric", "pexpect", "sh", "plumbum", "invoke", "zmq", "boto3", "botocore", "fsspec", "smart_open"),
        # files
        *("io", "_io", "_pyio", "shutil", "tempfile", "fileinput", "tarfile", "zipfile", "gzip", "bz2", "lzma"),
        *("sqlite3", "_sqlite3", "codecs", "mailbox", "netrc", "configparser", "logging.config", "logging.handlers"),
        # people and screens
        *("curses", "_curses", "tkinter", "Tkinter", "turtle", "turtledemo", "getpass", "readline", "nturl2path"),
        # parts of torch and numpy that compile, load, fetch or run
        *("torch.hub", "torch.jit", "torch.package", "torch.utils", "torch.fx", "torch._dynamo", "torch._inductor"),
        *("torch._functorch", "torch._higher_order_ops", "torch._jit_internal", "torch._ops", "torch.ops", "torch._C"),
        *("torch._library", "torch.library", "torch._classes", "torch.classes", "torch.distributed", "torch.export"),
        *("torch.multiprocessing", "torch.testing", "torch.onnx", "torch.profiler", "torch.autograd.profiler"),
        *("torch._utils_internal", "torch._sources", "torch._namedtensor_internals", "torch._lazy", "torch._export"),
        *("torch._appdirs", "torch.monitor", "torch.cuda._memory_viz", "torch._weights_only_unpickler"),
        *("torch.os", "torch.sys", "torch.quantization.fx", "torch.ao.quantization.fx", "torch._strobelight"),
        *("numpy.testing", "numpy.f2py", "numpy.distutils", "numpy.ctypeslib", "numpy.lib", "numpy._pytesttester"),
        *("numpy.compat", "numpy.os", "numpy.sys", "pandas.io", "pandas.core.computation", "scipy.io"),
        *("tensorflow.python.framework.load_library", "keras.src.utils.file_utils", "keras.utils.get_file"),
        *("nltk.downloader", "transformers.dynamic_module_utils", "IPython", "jupyter_client", "pytest", "_pytest"),
    }
)

# Modules and attributes that lead from harmless objects to harmful ones, wherever they are found.
_HANDED_ON = frozenset(
    {
        *(
            "os",
            "sys",
            "subprocess",
            "posix",
            "nt",
            "builtins",
            "importlib",
            "runpy",
            "socket",
            "shutil",
            "ctypes",
            "io",
        ),
        *("pickle", "marshal", "pty", "codeop", "multiprocessing", "asyncio", "operator", "pathlib", "urllib"),
    }
)
_DANGEROUS_STEPS = frozenset(
    {
        *("__builtins__", "__class__", "__bases__", "__base__", "__mro__", "__subclasses__", "__globals__", "__code__"),
        *("__dict__", "__getattribute__", "__getattr__", "__setattr__", "__reduce__", "__reduce_ex__", "__import__"),
        *("__loader__", "__spec__", "__init_subclass__", "__closure__", "__func__", "__self__", "f_globals", "modules"),
        *("open", "write_text", "write_bytes", "unlink", "rmdir", "rename", "replace", "symlink_to", "chmod", "mkdir"),
        *("touch", "system", "popen", "Popen", "eval", "exec", "loads", "load"),
    }
)


def classify(module: str, name: str) -> Safety:
    """How safe it is to import `name` from `module`, as a pickle would, and to call what that gives.

    Python 2's names count as what they are in Python 3, since an unpickler takes them for it.
    """
    safety = _classify(*_in_python_3(module, name))
    return safety if safety == "dangerous" or _classify(module, name) != "dangerous" else "dangerous"


def _in_python_3(module: str, name: str) -> tuple[str, str]:
    mapped = _compat_pickle.NAME_MAPPING.get((module, name))
    return mapped if mapped is not None else (_compat_pickle.IMPORT_MAPPING.get(module, module), name)


def _classify(module: str, name: str) -> Safety:
    steps = module.split(".")
    if any(".".join(steps[:count]) in _DANGEROUS_MODULES for count in range(1, len(steps) + 1)):
        return "dangerous" if name not in _SAFE.get(module, ()) else "safe"
    names = name.split(".")
    if names[0] in _DANGEROUS_NAMES.get(module, ()) or (steps[-1] == "__main__" and len(steps) > 1):
        return "dangerous"
    if name in _SAFE.get(module, ()):
        return "safe"
    # Every module is full of other modules, and since protocol 4 a name is a path from attribute to attribute.
    if any(_is_handed_on(step) for step in (*steps, *names)):
        return "dangerous"
    return "dangerous" if len(names) > 1 and any(step in _DANGEROUS_STEPS for step in names) else "unknown"


def _is_handed_on(step: str) -> bool:
    return step.lstrip("_") in _HANDED_ON
