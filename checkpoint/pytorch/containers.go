package pytorch

import (
	"maps"
	"slices"

	"github.com/nlpodyssey/gopickle/types"
)

const orderedDict = "collections.OrderedDict"

// entries returns the items of a dict or of an object of a subclass of dict.
func entries(value any) types.Dict {
	switch value := value.(type) {
	case *types.Dict:
		return *value
	case *record:
		if value.class == orderedDict && len(value.args) == 1 {
			return pairs(value.args[0])
		}
		return value.items
	}
	return nil
}

// pairs reads a list of [key, value] lists: Python 2 passes the items of an
// OrderedDict to its constructor like that.
func pairs(value any) (items types.Dict) {
	list, _ := value.(*types.List)
	if list == nil {
		return nil
	}
	for _, item := range *list {
		pair, ok := item.(*types.List)
		if !ok || len(*pair) != 2 {
			break
		}
		items.Set((*pair)[0], (*pair)[1])
	}
	return items
}

// members returns the strings in a set, as protocol 4 writes it or as a call
// of protocol 2.
func (t *tree) members(set any) (map[string]bool, error) {
	var items []any
	switch set := set.(type) {
	case *types.Set:
		items = slices.Collect(maps.Keys(*set))
	case *record:
		if len(set.args) == 1 {
			if list, ok := set.args[0].(*types.List); ok {
				items = *list
			}
		}
	}
	if err := t.allowance.take(operationCost * len(items)); err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(items))
	for _, item := range items {
		if name, ok := item.(string); ok {
			names[name] = true
		}
	}
	return names, nil
}

// fields returns the items of a dict whose keys are strings. Each is paid for,
// since one dict may be asked for many times.
func (t *tree) fields(value any) (map[string]any, error) {
	items := entries(value)
	if err := t.allowance.take(operationCost * len(items)); err != nil {
		return nil, err
	}
	fields := make(map[string]any, len(items))
	for _, item := range items {
		if key, ok := item.Key.(string); ok {
			fields[key] = item.Value
		}
	}
	return fields, nil
}
