#!/bin/bash
# Measures roost beside its peers in one run and prints a table in Markdown: medians of RUNS pairs, and their ratio.
# Wants restic, mbsync, dovecot, Go; works in a directory of its own (BENCH_DIR), on loopback only.
#
#   bench/run.sh                 all, about half an hour
#   SMALL=20000 LARGE=1000 MILLION=0 bench/run.sh      a quick look
#   SETS= MILLION=0 bench/run.sh                       only the small change
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=${BENCH_DIR:-$(mktemp -d)}
runs=${RUNS:-3} small=${SMALL:-100000} large=${LARGE:-5000} million=${MILLION:-1000000}
export RESTIC_PASSWORD=bench XDG_CONFIG_HOME=$work/config XDG_DATA_HOME=$work/data XDG_CACHE_HOME=$work/cache RESTIC_CACHE_DIR=$work/restic-cache
mkdir -p "$work" && cd "$work"
(cd "$here" && go build -o "$work/roost" ./cmd/roost && go build -o "$work/makemail" ./bench/makemail)
roost=$work/roost
[ -d small ] || ./makemail -dir small -count "$small"
[ "$large" = 0 ] || [ -d large ] || ./makemail -dir large -count "$large" -attach 500000 -distinct $((large / 20 + 1))

# once COMMAND...: its wall seconds, CPU seconds and peak MB, in the file "figures"
once() { /usr/bin/time -q -o figures -f '%e %U %S %M' "$@" >log 2>&1 || { cat log >&2; exit 1; }; read -r wall user sys mem <figures; }
median() { sort -n | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }

# pair NAME SETUP-A A SETUP-B B: runs A and B in turn and prints a row
pair() {
	local name=$1 sa=$2 a=$3 sb=$4 b=$5 i
	: >wa; : >wb; : >ca; : >cb; : >ratio
	for i in $(seq "$runs"); do
		eval "$sa"; once sh -c "$a"; echo "$wall" >>wa; awk "BEGIN{print $user+$sys}" >>ca; x=$wall
		eval "$sb"; once sh -c "$b"; echo "$wall" >>wb; awk "BEGIN{print $user+$sys}" >>cb
		awk "BEGIN{print $wall/($x>0?$x:0.01)}" >>ratio
	done
	echo "| $name | $(median <wa) | $(median <ca) | $(median <wb) | $(median <cb) | $(median <ratio) |"
}
size() { du -sm --apparent-size "$1" | cut -f1; }

echo "| work, and the peer | roost s | roost CPU s | peer s | peer CPU s | peer / roost |"
echo "|---|---|---|---|---|---|"
fresh="rm -rf r; $roost init -q -r r" freshp='rm -rf p restic-cache; restic init -q -r p'
for set in ${SETS-small large}; do
	[ -d $set ] || continue
	pair "first backup of $set; restic" "$fresh" "$roost backup -q -r r --from maildir:$set -u a" "$freshp" "restic -r p backup -q $set"
	echo "| repository of $set, MB | $(size r) | | $(size p) | | |"
	pair "nothing changed in $set; restic" : "$roost backup -q -r r --from maildir:$set -u a" : "restic -r p backup -q $set"
	pair "restore all of $set; restic" 'rm -rf out' "$roost restore -q -r r latest:a --to maildir:out --in-place" 'rm -rf out' "restic -r p restore -q latest --target out"
	one=$(ls $set/cur | head -n 1)
	pair "one message of $set; restic dump" : "$roost cat -q -r r latest:a INBOX 1" : "restic -r p dump -q latest /$set/cur/$one"
done
if [ -d small ]; then
	eval "$fresh" >/dev/null 2>&1; $roost backup -q -r r --from maildir:small -u a >/dev/null
	rm -rf p; restic init -q -r p; restic -r p backup -q small
	r0=$(du -sb r | cut -f1) p0=$(du -sb p | cut -f1)
	./makemail -dir small -from 9000000 -count 100
	ls small/cur | head -n 10 | while read -r f; do rm "small/cur/$f"; done
	ls small/cur | awk 'NR%911==0' | head -n 100 | while read -r f; do mv "small/cur/$f" "small/cur/${f%S}FS"; done
	new=$(./makemail -dir new -from 9000000 -count 100; du -sb --apparent-size new/cur | cut -f1; rm -rf new)
	once $roost backup -q -r r --from maildir:small -u a; a=$wall
	once restic -r p backup -q small
	echo "| 100 new ($((new / 1000)) KB), 100 flags, 10 expunged; restic | $a | | $wall | | $(awk "BEGIN{print $wall/$a}") |"
	echo "| growth, KB | $((($(du -sb r | cut -f1) - r0) / 1000)) | | $((($(du -sb p | cut -f1) - p0) / 1000)) | | |"
fi
if [ "$million" != 0 ]; then
	[ -d million ] || ./makemail -dir million -count "$million" -mean 1800
	eval "$fresh"; once $roost backup -q -r r --from maildir:million -u a
	echo "| first backup, a mailbox of $million messages | $wall | $user | | | peak $((mem / 1024)) MB |"
	once $roost backup -q -r r --from maildir:million -u a
	echo "| nothing changed in it | $wall | $user | | | peak $((mem / 1024)) MB |"
fi
