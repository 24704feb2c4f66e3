#!/bin/sh
# Renders OpenMoji's colour pictures on white, 128 pixels a side, with their
# groups as classes: DIR/train/GROUP/HEXCODE.png and, every tenth picture of a
# group, DIR/test/GROUP/….
# Needs npm (which brings node) and rsvg-convert (Debian: librsvg2-bin).
#
#   examples/openmoji/prepare.sh [DIR]     DIR is datasets/openmoji when left out
set -eu
dir=${1:-datasets/openmoji}
version=17.0.0
for tool in npm node rsvg-convert xargs; do
	command -v "$tool" >/dev/null || {
		echo "prepare.sh: $tool is missing; on Debian: apt-get install npm nodejs librsvg2-bin findutils" >&2
		exit 1
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" openmoji@$version >/dev/null
tar -xzf "$work/openmoji-$version.tgz" -C "$work"

# A line for each picture: its drawing and where it goes. Left out are the loose
# components, which are no pictures, and the variants of a picture in other skin tones.
node -e '
	const [work, dir] = process.argv.slice(1), seen = {};
	for (const e of require(work + "/package/data/openmoji.json")) {
		if (e.group === "component" || e.skintone) continue;
		seen[e.group] = (seen[e.group] || 0) + 1;
		const split = seen[e.group] % 10 === 0 ? "test" : "train";
		console.log(`${work}/package/color/svg/${e.hexcode}.svg\n${dir}/${split}/${e.group}/${e.hexcode}.png`);
	}' "$work" "$dir" >"$work/list"
sed -n 'n;p' "$work/list" | tr '\n' '\0' | xargs -0 -n 1 dirname | sort -u | tr '\n' '\0' | xargs -0 mkdir -p
tr '\n' '\0' <"$work/list" | xargs -0 -P "$(nproc)" -n 2 sh -c 'rsvg-convert -w 128 -h 128 -b white -o "$2" "$1"' _
echo "$(find "$dir/train" -name '*.png' | wc -l) pictures to train on and $(find "$dir/test" -name '*.png' | wc -l) to test with in $dir"
