# Ends a PostgreSQL server whose users are gone, however they went, and removes its files. Run by `postgres/mod.rs` for
# a server of one process and by `postgres/shared.rs` for one that processes share:
#
#   sh -c SCRIPT keeper own FOLDER        until its standard input ends
#   sh -c SCRIPT keeper shared FOLDER N   until nobody has held a shared lock on FOLDER/users for N seconds
folder=$2
data=$folder/data

# Sets `pid` to the server's, unless that number is another process's by now.
server() {
    read -r pid 2>/dev/null <"$data/postmaster.pid" && runs
}

runs() {
    grep -qaF -- "$data" "/proc/$pid/cmdline" 2>/dev/null
}

children() {
    for stat in /proc/[0-9]*/stat; do
        read -r id _ _ parent _ 2>/dev/null <"$stat" && [ "$parent" = "$pid" ] && echo "$id"
    done
}

# An immediate shutdown: no checkpoint, but the server gives its shared memory back, which a SIGKILL would not.
end() {
    if server; then
        kill -CONT $(children) "$pid" 2>/dev/null
        kill -QUIT "$pid" 2>/dev/null
        waits=0
        # It removes the file before it is gone.
        while runs && [ "$waits" -lt 200 ]; do
            sleep 0.05
            waits=$((waits + 1))
        done
        runs && kill -KILL $(children) "$pid" 2>/dev/null
    fi
}

case $1 in
own)
    read -r _
    end
    rm -rf "$folder"
    ;;
shared)
    exec 8>"$folder/keeper" 9<"$folder/users"
    flock -n 8 || exit 0
    while :; do
        # What is started here gets no more of the locks than it needs: it may outlive this.
        flock -x 9 8>&-
        : >"$folder/idle"
        flock -u 9
        sleep "$3" 8>&- 9>&-
        # Who came and went in the meantime wrote to the file.
        flock -n -x 9 8>&- && [ ! "$folder/users" -nt "$folder/idle" ] && break
        flock -u 9
    done
    # The lock on the users is held until the server is gone: who comes meanwhile waits, and then starts a new one with
    # its own keeper. Nobody has to wait until the files are removed, which is slow on some disks.
    end
    mv "$data" "$folder/ended.$$"
    exec 8>&- 9>&-
    rm -rf "$folder/ended.$$"
    ;;
esac
