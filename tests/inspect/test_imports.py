"""Which names are safe to unpickle, which are known to be dangerous; all others are unknown."""

import pytest

from steelyard.inspect.imports import Safety, classify

SAFE = """
builtins.set builtins.bytearray builtins.complex __builtin__.set __builtin__.object collections.OrderedDict
collections.defaultdict copyreg._reconstructor copy_reg._reconstructor _codecs.encode datetime.datetime
argparse.Namespace pathlib.PosixPath types.SimpleNamespace
numpy.dtype numpy.ndarray numpy.core.multiarray._reconstruct numpy._core.multiarray.scalar
numpy.random._pickle.__randomstate_ctor joblib.numpy_pickle.NumpyArrayWrapper
torch._utils._rebuild_tensor_v2 torch._utils._rebuild_parameter torch._tensor._rebuild_from_type_v2 torch.FloatStorage
torch.BFloat16Storage torch.storage.UntypedStorage torch.bfloat16 torch.float8_e4m3fn torch.Size torch.device
torch.nn.parameter.Parameter torch.serialization._get_layout torch.jit._pickle.build_intlist
"""

DANGEROUS = """
os.system posix.system nt.system subprocess.Popen sys.exit runpy.run_path importlib.import_module pty.spawn
socket.create_connection shutil.rmtree ctypes.CDLL webbrowser.open multiprocessing.Process
asyncio.unix_events._UnixSubprocessTransport asyncio.events.AbstractEventLoop _posixsubprocess.fork_exec
builtins.eval builtins.exec builtins.compile builtins.open builtins.getattr builtins.__import__ __builtin__.eval
__builtin__.apply __builtin__.execfile __builtin__.reduce commands.getoutput
functools.partial functools.reduce operator.attrgetter operator.methodcaller _operator.itemgetter
pickle.loads _pickle.loads cPickle.loads dill.loads cloudpickle.cloudpickle._make_function marshal.loads joblib.load
types.FunctionType types.CodeType code.InteractiveInterpreter codeop.compile_command
cProfile.run profile.run timeit.timeit trace.Trace bdb.Bdb pdb.run doctest.debug_script idlelib.run.Executive
lib2to3.pgen2.grammar.Grammar pydoc.pipepager pip.main pip._internal.main ensurepip._run_pip venv.create
pkgutil.resolve_name logging.config.listen uuid._popen _pyrepl.pager.pipe_pager distutils.file_util.write_file
torch.load torch.serialization.load torch.hub.load torch.jit.unsupported_tensor_ops.execWrapper
torch.utils.bottleneck.__main__.run_cprofile torch.utils.collect_env.run torch._dynamo.guards.GuardBuilder
torch.fx.experimental.symbolic_shapes.ShapeEnv torch._inductor.codecache.PyCodeCache torch.storage._load_from_bytes
numpy.load numpy.memmap numpy.testing._private.utils.runstring numpy.f2py.crackfortran.getlincoef
pandas.read_pickle some.package.__main__.run some.package.os six.moves.builtins.eval
"""

UNKNOWN = "some.module.Thing __main__.Model sklearn.linear_model.LogisticRegression torch.nn.modules.linear.Linear"


def _names(text: str) -> list[tuple[str, str]]:
    return [(module, name) for module, _, name in (full.rpartition(".") for full in text.split())]


@pytest.mark.parametrize(
    ("module", "name", "safety"),
    [
        *((module, name, "safe") for module, name in _names(SAFE)),
        *((module, name, "dangerous") for module, name in _names(DANGEROUS)),
        *((module, name, "unknown") for module, name in _names(UNKNOWN)),
    ],
)
def test_names_are_classified(module: str, name: str, safety: Safety) -> None:
    assert classify(module, name) == safety


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("collections", "_sys.modules"),
        ("collections", "OrderedDict.__class__.__base__"),
        ("torch", "serialization.os.system"),
        ("pathlib", "Path.write_text"),
        ("argparse", "_os"),
        ("torch.serialization", "pickle"),
        ("numpy", "dtype.__reduce__"),
    ],
)
def test_a_path_from_a_safe_module_to_a_harmful_attribute_is_dangerous(module: str, name: str) -> None:
    assert classify(module, name) == "dangerous"


@pytest.mark.parametrize(("module", "name"), [("collections", "OrderedDict.fromkeys"), ("mine", "Outer.Inner")])
def test_other_paths_are_unknown(module: str, name: str) -> None:
    assert classify(module, name) == "unknown"


@pytest.mark.parametrize(("module", "name"), [("", ""), ("a\0b", "\n"), (".", "."), ("x" * 10_000, "y" * 10_000)])
def test_names_that_nothing_has_are_unknown(module: str, name: str) -> None:
    assert classify(module, name) == "unknown"


def test_paths_are_safe_where_python_3_13_keeps_them_too() -> None:
    assert classify("pathlib._local", "PurePosixPath") == "safe"
    assert classify("pathlib._local", "os") == "dangerous"
