# How many sessions of xrdp there are: each has one process of this name.
sessions_of_xrdp() {
    grep -lsx xrdp-chansrv /proc/[0-9]*/comm | wc -l
}
