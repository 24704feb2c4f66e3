#!/bin/sh
# What the losses are for: grows a finished run's base generator again without
# L_rec (RUN-norec) and without L_adv (RUN-noadv). Everything before the first
# growth is the run's own.
#
#   examples/openmoji/ablate.sh [RUN]     RUN is runs/openmoji when left out
set -eu
run=${1:-runs/openmoji}
for tool in bin/pagoda "$run/teacher.safetensors" "$run/pairs" "$run/generator-16.safetensors"; do
	[ -e "$tool" ] || {
		echo "ablate.sh: there is no $tool; run \`make build\` and the growths of $run first" >&2
		exit 1
	}
done

# fork NAME KEY VALUE: the growths again, with another value of a key of theirs.
fork() {
	mkdir -p "$run-$1/checkpoints"
	cp -r "$run/pairs" "$run/features.safetensors" "$run/teacher.safetensors" \
		"$run/generator-16.safetensors" "$run/discriminator-16.safetensors" "$run-$1"
	sed "/^\[\[grow\]\]/,\$ s/^  $2 = .*/  $2 = $3/" "$run/config.toml" >"$run-$1/config.toml"
	bin/pagoda grow --run "$run-$1"
}
fork norec reconstruct 0
fork noadv lambda 0.0
go run ./examples/openmoji/measure "$run" "$run-norec" "$run-noadv"
