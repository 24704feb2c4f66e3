package pytorch

import (
	"strings"

	"github.com/nlpodyssey/gopickle/types"
)

// Object is what a file tells of a Python object that was saved by
// torch_utils.persistence: enough to choose the architecture from.
//
// Values are nil, bool, int, float64, string, []any or map[string]any; in a
// slice, nil also stands for what is none of these, elsewhere that is left out.
type Object struct {
	Class      string         // without its module, such as "EDMPrecond"
	Args       []any          // what the constructor was given by position
	Kwargs     map[string]any // what it was given by name; defaults that were not passed are absent
	Attributes map[string]any // the object's own values, defaults included, such as "sigma_data"
}

// walkPersistent notes an object of torch_utils.persistence, which is rebuilt from
// a dict with its class and state, and visits its attributes.
func (t *tree) walkPersistent(path string, r *record, depth int) error {
	if len(r.args) != 1 {
		return nil
	}
	meta, err := t.fields(r.args[0])
	if err != nil {
		return err
	}
	state, err := t.fields(meta["state"])
	if err != nil {
		return err
	}
	object := Object{Attributes: map[string]any{}}
	object.Class, _ = meta["class_name"].(string)
	args, _, err := t.plain(state["_init_args"], depth)
	if err != nil {
		return err
	}
	kwargs, _, err := t.plain(state["_init_kwargs"], depth)
	if err != nil {
		return err
	}
	object.Args, _ = args.([]any)
	object.Kwargs, _ = kwargs.(map[string]any)
	for name, value := range state {
		value, ok, err := t.plain(value, depth)
		if err != nil {
			return err
		}
		if ok && !strings.HasPrefix(name, "_") {
			object.Attributes[name] = value
		}
	}
	t.objects[path] = object
	return t.walkState(path, meta["state"], depth)
}

// plain converts a value for [Object]; ok is false for what has no plain form.
func (t *tree) plain(value any, depth int) (plain any, ok bool, err error) {
	if err := t.allowance.take(operationCost); err != nil {
		return nil, false, err
	}
	if depth > maxDepth {
		return nil, false, nil
	}
	var list []any
	switch value := value.(type) {
	case nil, bool, int, float64, string:
		return value, true, nil
	case *types.List:
		list = *value
	case *types.Tuple:
		list = *value
	default:
		return t.plainDict(value, depth)
	}
	out := make([]any, len(list))
	for i, item := range list {
		if out[i], _, err = t.plain(item, depth+1); err != nil {
			return nil, false, err
		}
	}
	return out, true, nil
}

// plainDict converts a dict or an object of a subclass of dict.
func (t *tree) plainDict(value any, depth int) (plain any, ok bool, err error) {
	switch value := value.(type) {
	case *types.Dict:
	case *record:
		if value.class != orderedDict && value.class != "dnnlib.util.EasyDict" {
			return nil, false, nil
		}
	default:
		return nil, false, nil
	}
	fields, err := t.fields(value)
	if err != nil {
		return nil, false, err
	}
	out := make(map[string]any, len(fields))
	for name, item := range fields {
		item, ok, err := t.plain(item, depth+1)
		if err != nil {
			return nil, false, err
		}
		if ok {
			out[name] = item
		}
	}
	return out, true, nil
}
