package pytorch

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nlpodyssey/gopickle/types"
)

// tree collects the tensors and persistent objects of a pickle by their paths.
type tree struct {
	allowance *allowance // each visit is paid for, since parts may be shared many times over
	tensors   map[string]*tensor
	objects   map[string]Object
}

const (
	maxDepth = 64   // of dicts within dicts; also what ends a cycle
	maxName  = 1000 // bytes of a path
)

// walk visits value, which lies at path.
func (t *tree) walk(path string, value any, depth int) error {
	if err := t.allowance.take(operationCost); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: objects lie more than %d deep in each other", ErrTooLarge, maxDepth)
	}
	switch value := value.(type) {
	case *tensor:
		if _, taken := t.tensors[path]; taken {
			return fmt.Errorf("%w: two tensors are called %.200q", ErrName, path)
		}
		t.tensors[path] = value
	case *types.Dict:
		return t.walkItems(path, *value, depth)
	case *types.List:
		return t.walkList(path, *value, depth)
	case *types.Tuple:
		return t.walkList(path, *value, depth)
	case *record:
		return t.walkRecord(path, value, depth)
	}
	return nil
}

func (t *tree) walkItems(path string, items types.Dict, depth int) error {
	for _, item := range items {
		var key string
		switch k := item.Key.(type) {
		case string:
			key = k
		case int, float64, bool, nil:
			key = fmt.Sprint(k)
		default:
			return fmt.Errorf("%w: a key of %.200q is neither string nor number", ErrPickle, path)
		}
		if err := t.walkChild(path, key, item.Value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) walkList(path string, list []any, depth int) error {
	for i, value := range list {
		if err := t.walkChild(path, strconv.Itoa(i), value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) walkChild(path, key string, value any, depth int) error {
	if len(path)+len(key) > maxName {
		return fmt.Errorf("%w: one has more than %d bytes", ErrName, maxName)
	}
	if path != "" {
		key = path + "." + key
	}
	return t.walk(key, value, depth+1)
}

func (t *tree) walkRecord(path string, r *record, depth int) error {
	if r.class == persistent {
		return t.walkPersistent(path, r, depth)
	}
	if err := t.walkItems(path, entries(r), depth); err != nil {
		return err
	}
	if err := t.walkList(path, r.list, depth); err != nil {
		return err
	}
	if r.class == orderedDict {
		return nil // its only attribute is _metadata, the layers' versions
	}
	return t.walkState(path, r.state, depth)
}

// walkState visits an object's attributes: all, but of a torch.nn.Module only
// what its state_dict would have.
func (t *tree) walkState(path string, state any, depth int) error {
	fields, err := t.fields(state)
	if err != nil {
		return err
	}
	if fields["_parameters"] == nil || fields["_modules"] == nil {
		return t.walkItems(path, entries(state), depth)
	}
	unsaved, err := t.members(fields["_non_persistent_buffers_set"])
	if err != nil {
		return err
	}
	buffers := slices.DeleteFunc(slices.Clone(entries(fields["_buffers"])), func(item types.DictEntry) bool {
		name, ok := item.Key.(string)
		return ok && unsaved[name]
	})
	for _, items := range []types.Dict{entries(fields["_parameters"]), buffers, entries(fields["_modules"])} {
		if err := t.walkItems(path, items, depth); err != nil {
			return err
		}
	}
	return nil
}
