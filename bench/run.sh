#!/bin/bash
# Measures roost beside its peers in one run: medians of RUNS pairs, and their ratio, as a table in Markdown, which is
# printed, and put into doc/performance.md in place of the one there if all parts were run.
# Wants root, restic, mbsync, dovecot, Go; works in a directory of its own (BENCH_DIR), on loopback only.
#
#   bench/run.sh                 all, about an hour
#   SMALL=20000 LARGE=1000 MILLION=0 bench/run.sh      a quick look
#   PARTS="imap" bench/run.sh                          some of: restic floor change doveadm imap million
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=${BENCH_DIR:-$(mktemp -d)}
runs=${RUNS:-3} small=${SMALL:-100000} large=${LARGE:-5000} million=${MILLION:-1000000}
export RESTIC_PASSWORD=bench XDG_CONFIG_HOME=$work/config XDG_DATA_HOME=$work/data XDG_CACHE_HOME=$work/cache RESTIC_CACHE_DIR=$work/restic-cache
parts=" ${PARTS:-restic floor change doveadm imap million} "
mkdir -p "$work" && cd "$work"
(cd "$here" && go build -o "$work/roost" ./cmd/roost && go build -o "$work/makemail" ./bench/makemail && go build -o "$work/rawimap" ./bench/rawimap)
part() { [[ $parts == *" $1 "* ]]; }
roost=$work/roost
[ -d small ] || ./makemail -dir small -count "$small"
[ "$large" = 0 ] || [ -d large ] || ./makemail -dir large -count "$large" -attach 500000 -distinct $((large / 20 + 1))

# once COMMAND...: its wall seconds, CPU seconds and peak MB, in the file "figures"
once() { /usr/bin/time -q -o figures -f '%e %U %S %M' "$@" >log 2>&1 || { cat log >&2; exit 1; }; read -r wall user sys mem <figures; }
median() { sort -n | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }

# row CELL...: a row of the table
row() {
	local cells cell
	for cell in "$@"; do cells+="| $cell "; done
	echo "$cells|" | tee -a table
}
# reached RATIO AIM: "yes" if the ratio is at least the aim
reached() { awk "BEGIN{print ($1 >= $2) ? \"yes\" : \"no\"}"; }
over() { awk "BEGIN{printf \"%.2f\", $1/($2>0?$2:0.01)}"; }

# pair NAME AIM SETUP-A A SETUP-B B: runs A and B in turn and prints a row
pair() {
	local name=$1 aim=$2 sa=$3 a=$4 sb=$5 b=$6 i r
	: >wa; : >wb; : >ca; : >cb; : >ratio
	for i in $(seq "$runs"); do
		eval "$sa"; once sh -c "$a"; echo "$wall" >>wa; awk "BEGIN{print $user+$sys}" >>ca; x=$wall
		eval "$sb"; once sh -c "$b"; echo "$wall" >>wb; awk "BEGIN{print $user+$sys}" >>cb
		echo "$(over $wall $x)" >>ratio
	done
	r=$(median <ratio)
	row "$name" $(median <wa) $(median <ca) $(median <wb) $(median <cb) $r $aim $(reached $r $aim)
}
size() { du -sm --apparent-size "$1" | cut -f1; }

: >table
row "work, and the peer" "roost s" "roost CPU s" "peer s" "peer CPU s" "peer / roost" aim reached
row --- --- --- --- --- --- --- ---
fresh="rm -rf r; $roost init -q -r r >init.log 2>&1" freshp='rm -rf p restic-cache; restic init -q -r p'
for set in small large; do
	part restic && [ -d $set ] || continue
	aim=5; [ $set = small ] || aim=3
	pair "first backup of $set; restic" $aim "$fresh" "$roost backup -q -r r --from maildir:$set -u a" "$freshp" "restic -r p backup -q $set"
	aim=1; [ $set = small ] || aim=1.15
	row "its repository, MB" $(size r) "" $(size p) "" $(over $(size p) $(size r)) $aim $(reached $(over $(size p) $(size r)) $aim)
	pair "nothing changed in $set; restic" 1 : "$roost backup -q -r r --from maildir:$set -u a" : "restic -r p backup -q $set"
	pair "restore all of $set; restic" 1 'rm -rf out' "$roost restore -q -r r latest:a --to maildir:out --in-place" 'rm -rf out' "restic -r p restore -q latest --target out"
	one=$(ls $set/cur | head -n 1)
	pair "one message of $set; restic dump" 1 : "$roost cat -q -r r latest:a INBOX 1" : "restic -r p dump -q latest /$set/cur/$one"
done
if part change && [ -d small ]; then
	eval "$fresh" >/dev/null 2>&1; $roost backup -q -r r --from maildir:small -u a >/dev/null
	rm -rf p; restic init -q -r p; restic -r p backup -q small
	r0=$(du -sb r | cut -f1) p0=$(du -sb p | cut -f1)
	./makemail -dir small -from 9000000 -count 100
	ls small/cur | head -n 10 | while read -r f; do rm "small/cur/$f"; done
	ls small/cur | awk 'NR%911==0' | head -n 100 | while read -r f; do mv "small/cur/$f" "small/cur/${f%S}FS"; done
	new=$(./makemail -dir new -from 9000000 -count 100; du -sb --apparent-size new/cur | cut -f1; rm -rf new)
	once $roost backup -q -r r --from maildir:small -u a; a=$wall
	once restic -r p backup -q small
	row "100 new, 100 flags, 10 expunged in small; restic" $a "" $wall "" $(over $wall $a) 1 $(reached $wall $a)
	grown=$((($(du -sb r | cut -f1) - r0) / 1000)) grownp=$((($(du -sb p | cut -f1) - p0) / 1000))
	row "growth by that, KB; the new messages and 300 KB" $grown "" $((new / 1000 + 300)) "" $(over $((new / 1000 + 300)) $grown) 1 $(reached $((new / 1000 + 300)) $grown)
	row "growth by that, KB; restic" $grown "" $grownp "" $(over $grownp $grown) 1 $(reached $grownp $grown)
fi
# The floor: the same octets read, hashed, compressed, encrypted and written by all cores, and nothing else.
if part floor; then
	for set in small large; do
		[ -d $set ] || continue
		eval "$fresh"; once $roost backup -q -r r --from maildir:$set -u a; a=$wall
		floor=$(cd "$here" && ROOST_FLOOR=$work/$set/cur TMPDIR=$work go test ./repo -run none -bench Floor -benchtime 1x | awk '/^BenchmarkFloor/{print $3/1e9}')
		row "first backup of $set; the floor" $a "" $floor "" $(over $floor $a) 0.5 $(reached $(over $floor $a) 0.5)
	done
fi
# prepare USER COUNT: an account of the Dovecot with so many messages
prepare() {
	[ -d dv/home/$1 ] || { ./makemail -dir dv/home/$1/Maildir -count $2; chown -R nobody:nogroup dv/home/$1; }
	doveadm -c dv/dovecot.conf index -u $1 INBOX
}
# change USER: 100 new, 100 flags, 10 expunged
change() {
	./makemail -dir dv/home/$1/Maildir -from 9${RANDOM}000 -count 100; chown -R nobody:nogroup dv/home/$1
	doveadm -c dv/dovecot.conf flags add -u $1 '\Flagged' mailbox INBOX $((2000 + RANDOM % 500)):$((2099 + RANDOM % 1))
	doveadm -c dv/dovecot.conf expunge -u $1 mailbox INBOX $((500 + RANDOM % 500)):$((509 + RANDOM % 1))
}
if part doveadm || part imap; then
	rm -rf dv/run; "$here/bench/dovecot.sh" start dv 33143
	trap '"$here/bench/dovecot.sh" stop dv' EXIT
fi
if part doveadm; then
	prepare dave $small
	dave=maildir:dv/home/dave/Maildir
	doveadm="doveadm -c dv/dovecot.conf backup -u dave maildir:$work/dv/home/copy"
	pair "first backup of a Maildir of $small; doveadm backup" 1 "$fresh" "$roost backup -q -r r --from $dave -u a" 'rm -rf dv/home/copy' "$doveadm"
	pair "nothing changed in it; doveadm backup" 1 : "$roost backup -q -r r --from $dave -u a" : "$doveadm"
	runs=1 pair "100 new, 100 flags, 10 expunged in it; doveadm backup" 1 'change dave' "$roost backup -q -r r --from $dave -u a" : "$doveadm"
fi
if part imap; then
	export ROOST_STORE_PASSWORD=secret
	for user in ivy:20000 max:$small; do
		count=${user#*:} user=${user%:*} raw="./rawimap -addr 127.0.0.1:33143 -password secret -user $user"
		prepare $user $count
		cat >mbsyncrc <<-C
			FSync no
			
			IMAPAccount a
			Host 127.0.0.1
			Port 33143
			User $user
			Pass secret
			SSLType None
			AuthMechs LOGIN
			
			IMAPStore far
			Account a
			
			MaildirStore near
			Path $work/mb/
			Inbox $work/mb/INBOX
			
			Channel a
			Far :far:
			Near :near:
			Patterns *
			Create Near
			Sync Pull
			SyncState *
		C
		back="$roost backup -q -r r --from imap://$user@127.0.0.1:33143?tls=none -u a"
		pair "first backup of $count over IMAP; raw FETCH, 1 connection" 0.67 "$fresh" "$back" : "$raw fetch"
		pair "the same; raw FETCH, 4 connections" 0.67 "$fresh" "$back" : "$raw -conns 4 fetch"
		pair "the same; mbsync, FSync no" 4 "$fresh" "$back" 'rm -rf mb; mkdir mb' 'mbsync -c mbsyncrc a'
		pair "nothing changed in $count over IMAP; raw STATUS" 0.33 : "$back" : "$raw status"
		pair "the same; mbsync" 1 : "$back" : 'mbsync -c mbsyncrc a'
		runs=1 pair "100 new, 100 flags, 10 expunged in $count over IMAP; mbsync" 1 "change $user" "$back" : 'mbsync -c mbsyncrc a'
	done
fi
if part million && [ "$million" != 0 ]; then
	[ -d million ] || ./makemail -dir million -count "$million" -mean 1800
	eval "$fresh"; once $roost backup -q -r r --from maildir:million -u a
	row "first backup of a mailbox of $million; peak MB, 300 allowed" $wall $user $((mem / 1024)) "" $(over 300 $((mem / 1024))) 1 $(reached 300 $((mem / 1024)))
	once $roost backup -q -r r --from maildir:million -u a
	row "nothing changed in it; peak MB, 300 allowed" $wall $user $((mem / 1024)) "" $(over 300 $((mem / 1024))) 1 $(reached 300 $((mem / 1024)))
fi
if [ -z "${PARTS:-}" ]; then
	page=$here/doc/performance.md
	awk -v table="$work/table" '/^<!-- table/ {print; while ((getline line <table) > 0) print line; inside = 1; next} /^<!-- end/ {inside = 0} !inside' "$page" >page
	cat page >"$page"
fi
