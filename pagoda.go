// Package pagoda generates images with one-step generators: open a model, ask
// for pictures.
//
//	m, err := pagoda.Default()
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	pictures, err := m.Generate(ctx, pagoda.Request{N: 8, Seed: 1})
//
// Models are trained by the command pagoda (see package stage) and stored as
// safetensors files that describe their own network.
package pagoda
