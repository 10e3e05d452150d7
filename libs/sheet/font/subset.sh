#!/bin/sh
# Makes the fonts in this folder from the Debian packages fonts-noto-core and
# fonts-droid-fallback, unpacked (dpkg-deb -x) into the folder named by the
# first argument. Needs pyftsubset (Debian package fonttools).
set -eu
from=$1/usr/share
to=$(dirname "$0")

# subset FONT NAME CODE-POINTS: without hinting, and without the tables that a
# PDF has no use for.
subset() {
	pyftsubset "$1" --output-file="$to/$2.ttf" --unicodes="$3" --no-hinting --layout-features='*' \
		--drop-tables+=post,vhea,vmtx,gasp --name-IDs=0,1,2,5,13,14 --notdef-outline
	gzip -9nf "$to/$2.ttf"
}

for script in '' Arabic Armenian Bengali Devanagari Ethiopic Georgian Gujarati Gurmukhi Hebrew Kannada \
	Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai; do
	subset "$from/fonts/truetype/noto/NotoSans$script-Regular.ttf" "NotoSans$script" '*'
done
subset "$from/fonts/truetype/noto/NotoSansMath-Regular.ttf" NotoSansMath 20,2190-22ff
subset "$from/fonts/truetype/noto/NotoSansSymbols-Regular.ttf" NotoSansSymbols 20,2460-24ff
subset "$from/fonts/truetype/noto/NotoSansSymbols2-Regular.ttf" NotoSansSymbols2 20,25a0-27bf
droid=$from/fonts-droid-fallback/truetype/DroidSansFallback.ttf
subset "$droid" DroidSansFallbackHan 2e80-30ff,3190-33ff,3400-9fff,f900-faff,ff00-ffef
subset "$droid" DroidSansFallbackHangul 1100-11ff,3130-318f,ac00-d7a3
