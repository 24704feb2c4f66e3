package pytorch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nlpodyssey/gopickle/types"
	"github.com/pagoda-go/pagoda/checkpoint"
)

// callable is a Python function or class as the pickle library calls it.
type callable func(args []any) (any, error)

var (
	_ types.Callable  = callable(nil)
	_ types.PyNewable = callable(nil)
)

// Call is what the library calls for a function.
func (c callable) Call(args ...any) (any, error) { return c(args) }

// PyNew is what the library calls for a class.
func (c callable) PyNew(args ...any) (any, error) { return c(args) }

// storageType is a class such as torch.FloatStorage.
type storageType struct{ dtype checkpoint.DType }

var storageTypes = map[string]checkpoint.DType{
	"DoubleStorage": checkpoint.F64, "FloatStorage": checkpoint.F32,
	"HalfStorage": checkpoint.F16, "BFloat16Storage": checkpoint.BF16,
	"LongStorage": checkpoint.I64, "IntStorage": checkpoint.I32, "ShortStorage": checkpoint.I16,
	"CharStorage": checkpoint.I8, "ByteStorage": checkpoint.U8, "BoolStorage": checkpoint.Bool,
	"ComplexFloatStorage": checkpoint.C64,
}

var dtypes = map[string]checkpoint.DType{
	"float64": checkpoint.F64, "float32": checkpoint.F32, "float16": checkpoint.F16, "bfloat16": checkpoint.BF16,
	"float8_e5m2": checkpoint.F8E5M2, "float8_e4m3fn": checkpoint.F8E4M3, "float8_e8m0fnu": checkpoint.F8E8M0,
	"int64": checkpoint.I64, "int32": checkpoint.I32, "int16": checkpoint.I16, "int8": checkpoint.I8,
	"uint64": checkpoint.U64, "uint32": checkpoint.U32, "uint16": checkpoint.U16, "uint8": checkpoint.U8,
	"bool": checkpoint.Bool, "complex64": checkpoint.C64,
}

// persistent is the function that rebuilds the objects of torch_utils.persistence.
const persistent = "torch_utils.persistence._reconstruct_persistent_obj"

// inert are the names, besides those of torch.nn.modules, whose calls are
// recorded and do nothing. "__builtin__" and "copy_reg" are Python 2's modules,
// by which protocol 2 calls them.
var inert = func() map[string]bool {
	set := map[string]bool{}
	for module, names := range map[string]string{
		"argparse":                "Namespace",
		"builtins":                "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
		"__builtin__":             "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple xrange unicode",
		"_codecs":                 "encode",
		"collections":             "Counter OrderedDict defaultdict deque",
		"copyreg":                 "_reconstructor",
		"copy_reg":                "_reconstructor",
		"datetime":                "date datetime timedelta",
		"dnnlib.util":             "EasyDict",
		"numpy":                   "dtype ndarray",
		"numpy.core.multiarray":   "_reconstruct scalar",
		"numpy._core.multiarray":  "_reconstruct scalar",
		"numpy.core.numeric":      "_frombuffer",
		"numpy._core.numeric":     "_frombuffer",
		"pathlib":                 "Path PosixPath PurePosixPath PureWindowsPath WindowsPath",
		"torch":                   "Size device",
		"torch_utils.persistence": "_reconstruct_persistent_obj",
		"types":                   "SimpleNamespace",
	} {
		for _, name := range strings.Fields(names) {
			set[module+"."+name] = true
		}
	}
	return set
}()

// callable returns what a name in a pickle stands for.
func (d *decoder) callable(module, name string) (any, error) {
	switch module {
	case "torch", "torch.cuda", "torch.storage":
		if dtype, ok := storageTypes[name]; ok {
			return storageType{dtype}, nil
		}
		if name == "UntypedStorage" {
			return storageType{checkpoint.U8}, nil
		}
	}
	if dtype, ok := dtypes[name]; ok && module == "torch" {
		return dtype, nil
	}
	full := module + "." + name
	switch full {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return callable(rebuildTensor), nil
	case "torch._utils._rebuild_tensor_v3":
		return callable(rebuildTensorV3), nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		return callable(rebuildParameter), nil
	case "torch.storage._load_from_bytes":
		return callable(d.loadFromBytes), nil
	case "dill._dill._load_type":
		return callable(d.builtin), nil
	}
	if inert[full] || strings.HasPrefix(full, "torch.nn.modules.") {
		return callable(func(args []any) (any, error) {
			return &record{class: full, args: args}, nil
		}), nil
	}
	printable := strings.Trim(strconv.Quote(full), `"`)
	return nil, fmt.Errorf("names the callable %.200s, %w", printable, ErrRefused)
}

// builtin is dill's way to name one of Python's own types.
func (d *decoder) builtin(args []any) (any, error) {
	if len(args) == 1 {
		if name, ok := args[0].(string); ok {
			return d.callable("builtins", name)
		}
	}
	return nil, fmt.Errorf("%w: dill names a type by %d values", ErrPickle, len(args))
}

// loadFromBytes is torch.load of a bytes object, which holds one storage.
func (d *decoder) loadFromBytes(args []any) (any, error) {
	if len(args) == 1 && !d.inner {
		if content, ok := args[0].(blob); ok {
			inner := &decoder{allowance: d.allowance, inner: true}
			value, rest, err := inner.decode(content)
			if err != nil {
				return nil, err
			}
			if isMagic(value) {
				return inner.legacy(rest)
			}
		}
	}
	return nil, fmt.Errorf("%w: _load_from_bytes is not given what torch.save writes", ErrPickle)
}
