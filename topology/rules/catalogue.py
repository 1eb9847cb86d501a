"""Every rule: permanent id, severity, English and Indonesian text (`what; what to do`).

Ids are never reused. docs/errors.md and the fixtures in tests/rules are checked against this.
"""

from __future__ import annotations

from topology.finding import Rule, Severity

_E: Severity = "error"
_W: Severity = "warning"

_ALL = (
    # -- reading files -------------------------------------------------------------------------
    Rule("IO001", _E, "cannot be read: {reason}; check that it exists and its permissions",
         "tidak dapat dibaca: {reason}; periksa keberadaan berkas dan hak aksesnya"),
    Rule("IO002", _E, "is not UTF-8 (byte {byte}); save the file as UTF-8",
         "bukan UTF-8 (bita {byte}); simpan berkas sebagai UTF-8"),
    Rule("IO003", _E, "is larger than {limit} bytes and is not read; split it or remove what does not belong here",
         "lebih besar dari {limit} bita dan tidak dibaca; pecah berkas atau hapus isi yang bukan tempatnya"),
    Rule("IO004", _E, "is a loop of symbolic links; replace the link by the file or folder itself",
         "adalah tautan simbolik yang berputar; ganti tautan dengan berkas atau folder aslinya"),
    Rule("IO005", _E, "is missing; create it, `docs/inventory.md` says what it holds",
         "tidak ada; buat berkas ini, isinya dijelaskan di `docs/inventory.md`"),
    Rule("IO006", _E, "is a file nobody reads; move it to its place or remove it",
         "adalah berkas yang tidak dibaca siapa pun; pindahkan ke tempatnya atau hapus"),
    # -- YAML ----------------------------------------------------------------------------------
    Rule("YA001", _E, "is not valid YAML: {problem}; correct the line",
         "bukan YAML yang sah: {problem}; perbaiki baris ini"),
    Rule("YA002", _E, "is indented with a tab; use spaces", "memakai tab sebagai indentasi; gunakan spasi"),
    Rule("YA003", _E, "is empty; fill it or remove it", "kosong; isi atau hapus berkas ini"),
    Rule("YA004", _E, "uses a YAML alias; write the value out, or put it where it belongs once",
         "memakai alias YAML; tulis nilainya, atau letakkan sekali di tempatnya"),
    Rule("YA005", _E, "has the key `{key}` twice; keep one", "memuat kunci `{key}` dua kali; sisakan satu"),
    Rule("YA006", _E, "is nested deeper than {limit} levels; make it flat",
         "bersarang lebih dari {limit} tingkat; sederhanakan"),
    # -- shape ---------------------------------------------------------------------------------
    Rule("SC001", _E, "unknown key `{key}`; known here: {known}", "kunci `{key}` tidak dikenal; yang dikenal: {known}"),
    Rule("SC002", _E, "`{key}` has the wrong type: {problem}; correct the value",
         "`{key}` salah jenis: {problem}; perbaiki nilainya"),
    Rule("SC003", _E, "`{key}` is missing; add it", "`{key}` tidak ada; tambahkan"),
    Rule("SC004", _E, "`{key}` has a value that is not allowed: {problem}; correct the value",
         "`{key}` berisi nilai yang tidak diizinkan: {problem}; perbaiki nilainya"),
    # -- registry ------------------------------------------------------------------------------
    Rule("RG001", _E, "{section} number {number} is used twice, by `{first}` and `{second}`; give `{second}` the next "
         "free number, {free}",
         "nomor {section} {number} dipakai dua kali, oleh `{first}` dan `{second}`; beri `{second}` nomor bebas "
         "berikutnya, {free}"),
    Rule("RG002", _E, "`{slug}` has no number in registry.yml; add the line: {line}",
         "`{slug}` belum bernomor di registry.yml; tambahkan baris: {line}"),
    Rule("RG003", _E, "`{slug}` is retired since {retired} but is still described here; remove it, or give it a new "
         "number under a new name",
         "`{slug}` sudah pensiun sejak {retired} tetapi masih ada di sini; hapus, atau beri nomor baru dengan nama "
         "baru"),
    Rule("RG004", _E, "{section} number {number} of `{slug}` is out of its class's range {first}-{last}; take a free "
         "number in it, {free}",
         "nomor {section} {number} milik `{slug}` di luar rentang kelasnya {first}-{last}; pakai nomor bebas, {free}"),
    Rule("RG005", _E, "`{slug}` is in the registry but nothing describes it; add {file}, or mark the line "
         "`retired: <date>`",
         "`{slug}` ada di registri tetapi tidak ada yang menjelaskannya; tambahkan {file}, atau tandai baris ini "
         "`retired: <tanggal>`"),
    Rule("RG006", _E, "link number {number} of `{slug}` may not be used: a multiple of 128 is the subnet-router "
         "address of its /64 (RFC 6164); take the next free number, {free}",
         "nomor tautan {number} milik `{slug}` tidak boleh dipakai: kelipatan 128 adalah alamat subnet-router /64 "
         "(RFC 6164); pakai nomor bebas berikutnya, {free}"),
    Rule("RG007", _E, "`{slug}` is in section {section} of the registry twice; keep the line it was first given",
         "`{slug}` muncul dua kali di bagian {section} registri; sisakan baris yang pertama"),
    Rule("RG008", _E, "registry line {line} of {revision} is gone or changed; numbers are for ever: put it back, and "
         "mark it `retired: <date>` if it is no longer used",
         "baris registri {line} dari {revision} hilang atau berubah; nomor berlaku selamanya: kembalikan, dan tandai "
         "`retired: <tanggal>` bila tidak dipakai lagi"),
    Rule("RG009", _E, "`{slug}` extends `{extends}`, which is not a kecamatan of its own in the registry; name one",
         "`{slug}` memperluas `{extends}` yang bukan kecamatan tersendiri di registri; sebut yang benar"),
    Rule("RG010", _E, "`{slug}` is a second number of `{extends}` but has a file of its own in sites/kecamatan; move its "
         "villages to the file of `{extends}` and remove this one, or remove `extends:`",
         "`{slug}` adalah nomor kedua `{extends}` tetapi memiliki berkas sendiri di sites/kecamatan; pindahkan desanya ke "
         "berkas `{extends}` lalu hapus berkas ini, atau hapus `extends:`"),
    # -- sites ---------------------------------------------------------------------------------
    Rule("ST001", _E, "`{slug}` says it is a {kind} but lies in {folder}; move the file or correct the kind",
         "`{slug}` menyatakan diri {kind} tetapi terletak di {folder}; pindahkan berkas atau perbaiki jenisnya"),
    Rule("ST002", _E, "the name `{name}` is already taken by {other}; choose another",
         "nama `{name}` sudah dipakai {other}; pilih nama lain"),
    Rule("ST003", _E, "`{slug}` needs {count} village numbers (retired ones stay taken), its /16s carry {limit}; register a second number: "
         "`- {{number: {free}, slug: {second}, extends: {slug}}}` and put the rest there",
         "`{slug}` memerlukan {count} nomor desa (yang pensiun tetap terpakai), sedangkan /16-nya memuat {limit}; daftarkan nomor kedua: "
         "`- {{number: {free}, slug: {second}, extends: {slug}}}` dan letakkan sisanya di sana"),
    Rule("ST004", _E, "two gateways are possible only at the data centre (kind dc), as members 2 and 3; keep one, or "
         "correct the members",
         "dua gateway hanya mungkin di pusat data (kind dc), sebagai anggota 2 dan 3; sisakan satu, atau perbaiki "
         "anggotanya"),
    Rule("ST005", _E, "a village has only the networks {allowed}, not `{network}`; remove it",
         "desa hanya memiliki jaringan {allowed}, bukan `{network}`; hapus"),
    Rule("ST006", _E, "network `{network}` is not a standard role and has no number; give it one of 11-15, free here: "
         "{free}",
         "jaringan `{network}` bukan peran baku dan belum bernomor; beri salah satu dari 11-15, yang bebas: {free}"),
    Rule("ST007", _E, "network number {number} is used by `{first}` and `{second}`; give `{second}` a free one: {free}",
         "nomor jaringan {number} dipakai `{first}` dan `{second}`; beri `{second}` nomor bebas: {free}"),
    Rule("ST008", _E, "network `{network}` is a standard role with the fixed number {number}; remove its `number:`",
         "jaringan `{network}` adalah peran baku bernomor tetap {number}; hapus `number:`-nya"),
    Rule("ST009", _E, "the master plan counts {planned} {what}, the inventory has {count}; correct the inventory, or "
         "`planned:` if the plan has changed",
         "rencana induk menghitung {planned} {what}, inventaris memuat {count}; perbaiki inventaris, atau `planned:` "
         "bila rencana berubah"),
    Rule("ST010", _W, "the master plan counts {planned} villages, {count} are entered; add them to their kecamatan as "
         "their names come in (`topology next desa`)",
         "rencana induk menghitung {planned} desa/kelurahan, baru {count} yang terdaftar; tambahkan ke kecamatannya "
         "(`topology next desa`)"),
    Rule("ST011", _W, "no administrator is named; nobody but the automation account can log in: add `admins:`",
         "belum ada administrator; hanya akun otomasi yang dapat masuk: tambahkan `admins:`"),
    Rule("ST012", _E, "the sub-domain `{name}` is already that of `{other}`; choose another",
         "subdomain `{name}` sudah dipakai `{other}`; pilih nama lain"),
    Rule("ST013", _E, "uplink `{name}` is not the first and names no port; add `port:`",
         "uplink `{name}` bukan yang pertama dan belum menyebut port; tambahkan `port:`"),
    Rule("ST014", _E, "the file name `{name}` cannot name a site or service; rename the file: lower-case words joined "
         "by hyphens, at most 40 characters",
         "nama berkas `{name}` tidak dapat menjadi nama lokasi atau layanan; ganti namanya: kata-kata huruf kecil "
         "dengan tanda hubung, paling banyak 40 karakter"),
    Rule("ST015", _E, "the host name `{name}` has {length} characters, a label of a domain name has at most {limit}; "
         "choose a shorter one",
         "nama host `{name}` memiliki {length} karakter, sedangkan label nama domain paling banyak {limit}; pilih yang "
         "lebih pendek"),
    Rule("ST016", _E, "the gateway would have two interfaces called `{name}`; choose another name",
         "gateway akan memiliki dua antarmuka bernama `{name}`; pilih nama lain"),
    # -- addresses -----------------------------------------------------------------------------
    Rule("IP001", _E, "`{prefix}` cannot be used here: {problem}; write it like {example}",
         "`{prefix}` tidak dapat dipakai di sini: {problem}; tulis seperti {example}"),
    Rule("IP002", _E, "`{prefix}` has bits set to the right of its length; write {correct}",
         "`{prefix}` memiliki bit di kanan panjang prefiksnya; tulis {correct}"),
    Rule("IP003", _E, "number {number} of network `{network}` is taken by `{first}` and `{second}`; give `{second}` the "
         "next free one, {free}",
         "nomor {number} pada jaringan `{network}` dipakai `{first}` dan `{second}`; beri `{second}` nomor bebas "
         "berikutnya, {free}"),
    Rule("IP004", _E, "`{host}` ({kind}) has number {number}, outside {range}; take a free one, {free}",
         "`{host}` ({kind}) bernomor {number}, di luar {range}; pakai nomor bebas, {free}"),
    Rule("IP005", _E, "the address `{address}` is written here, but addresses follow from numbers; remove it, or name "
         "the host",
         "alamat `{address}` ditulis di sini, padahal alamat berasal dari nomor; hapus, atau sebut nama hostnya"),
    Rule("IP006", _E, "legacy prefix {prefix} of `{slug}` overlaps {other}; renumber the one that is easier, or mark it "
         "`routed: false`",
         "prefiks lama {prefix} milik `{slug}` bertumpang tindih dengan {other}; ganti nomor yang lebih mudah, atau "
         "tandai `routed: false`"),
    Rule("IP007", _E, "the ipv4 prefix must be a private /8, not {prefix}; use 10.0.0.0/8",
         "prefiks ipv4 harus /8 privat, bukan {prefix}; gunakan 10.0.0.0/8"),
    Rule("IP008", _E, "the ula prefix must be a /48 inside fd00::/8 with random bits (RFC 4193), not {prefix}; try "
         "{example}",
         "prefiks ula harus /48 di dalam fd00::/8 dengan bit acak (RFC 4193), bukan {prefix}; coba {example}"),
    Rule("IP009", _E, "the gua prefix must be a global /48, not {prefix}; enter the prefix your provider gave you",
         "prefiks gua harus /48 global, bukan {prefix}; isi dengan prefiks dari penyedia Anda"),
    Rule("IP010", _W, "{what} {prefix} is from a documentation prefix; enter the district's own when it has one",
         "{what} {prefix} berasal dari prefiks dokumentasi; ganti dengan milik kabupaten bila sudah ada"),
    Rule("IP011", _E, "MAC address {mac} belongs to `{first}` and `{second}`; correct one",
         "alamat MAC {mac} dipakai `{first}` dan `{second}`; perbaiki salah satunya"),
    Rule("IP012", _E, "`{host}` has {count} interfaces and those without a `name:` cannot be told apart; name them: "
         "{networks}",
         "`{host}` memiliki {count} antarmuka dan yang tanpa `name:` tidak dapat dibedakan; beri nama: {networks}"),
    Rule("IP013", _E, "`{host}` has two interfaces named `{name}`; rename one",
         "`{host}` memiliki dua antarmuka bernama `{name}`; ganti nama salah satunya"),
    # -- references ----------------------------------------------------------------------------
    Rule("RF001", _E, "there is no {what} `{name}`{hint}; correct the name or add it",
         "tidak ada {what} `{name}`{hint}; perbaiki namanya atau tambahkan"),
    Rule("RF002", _E, "application group `{group}` has {count} applications for {year}, the plan says {planned}; "
         "correct the years",
         "kelompok aplikasi `{group}` memiliki {count} aplikasi untuk {year}, rencana menyebut {planned}; perbaiki "
         "tahunnya"),
    Rule("RF003", _E, "application `{name}` is twice in group `{group}`; remove or rename one",
         "aplikasi `{name}` dua kali dalam kelompok `{group}`; hapus atau ganti nama salah satunya"),
    # -- backbone ------------------------------------------------------------------------------
    Rule("BB001", _E, "link `{link}` ends at `{site}`, which is no site; correct the end or add the site",
         "tautan `{link}` berujung di `{site}` yang bukan lokasi; perbaiki ujungnya atau tambahkan lokasinya"),
    Rule("BB002", _E, "link `{link}` closes a circle in what is declared a tree: {circle}; remove one of them",
         "tautan `{link}` membentuk lingkaran pada topologi yang dinyatakan pohon: {circle}; hapus salah satunya"),
    Rule("BB003", _E, "`{site}` is not reached from the tree's root `{root}`; add the missing link",
         "`{site}` tidak terjangkau dari akar pohon `{root}`; tambahkan tautan yang kurang"),
    Rule("BB004", _E, "loss of `{link}` is {loss} dB, free space over {range} km gives {computed} dB; correct the "
         "figure that is wrong",
         "redaman `{link}` {loss} dB, sedangkan ruang bebas sejauh {range} km memberi {computed} dB; perbaiki angka "
         "yang salah"),
    Rule("BB005", _E, "link `{link}` joins `{site}` to itself; correct one end",
         "tautan `{link}` menghubungkan `{site}` dengan dirinya sendiri; perbaiki salah satu ujung"),
    # -- provider's lines ----------------------------------------------------------------------
    Rule("UL001", _E, "`{first}` and `{second}` of one uplink are not in one prefix; write them as the provider gave them",
         "`{first}` dan `{second}` pada satu uplink tidak berada dalam satu prefiks; tulis seperti yang diberikan "
         "penyedia"),
    Rule("UL002", _E, "`gateways:` of uplink `{uplink}` does not fit: {problem}; every member of a pair has one address",
         "`gateways:` pada uplink `{uplink}` tidak cocok: {problem}; setiap anggota pasangan memiliki satu alamat"),
    Rule("UL003", _E, "`{address}` cannot be used: {problem}; enter the address that the provider gave",
         "`{address}` tidak dapat dipakai: {problem}; isi dengan alamat yang diberikan penyedia"),
    Rule("UL004", _E, "both gateways of `{site}` would have the address `{address}`; remove `address6:`, router "
         "advertisements give each its own",
         "kedua gateway `{site}` akan memakai alamat `{address}`; hapus `address6:`, router advertisement memberi "
         "masing-masing alamatnya sendiri"),
    Rule("UL005", _E, "the uplink's prefix {prefix} overlaps the district's own {plan}; have the provider's device use "
         "another one",
         "prefiks uplink {prefix} bertumpang tindih dengan milik kabupaten {plan}; minta perangkat penyedia memakai yang "
         "lain"),
    Rule("UL006", _E, "uplink address `{address}` of `{host}` is outside the lab's internet {prefix}; choose an "
         "`internet:` prefix that holds it",
         "alamat uplink `{address}` milik `{host}` di luar internet lab {prefix}; pilih prefiks `internet:` yang "
         "memuatnya"),
    Rule("UL007", _E, "`{first}` and `{second}` would both be {address} in the lab's internet; give one another number",
         "`{first}` dan `{second}` akan sama-sama {address} di internet lab; beri salah satunya nomor lain"),
    # -- policy --------------------------------------------------------------------------------
    Rule("PO001", _E, "there is no zone `{name}`{hint}; correct the name or add the zone",
         "tidak ada zona `{name}`{hint}; perbaiki namanya atau tambahkan zonanya"),
    Rule("PO002", _E, "there is no service `{name}`{hint}; correct the name or add the service",
         "tidak ada layanan `{name}`{hint}; perbaiki namanya atau tambahkan layanannya"),
    Rule("PO003", _E, "network `{network}` is in zones `{first}` and `{second}`; keep it in one",
         "jaringan `{network}` ada di zona `{first}` dan `{second}`; sisakan di satu zona"),
    Rule("PO004", _E, "network `{network}` is in no zone (sites that have it: {count}, the first is `{site}`), all its "
         "traffic would be dropped; add it to one",
         "jaringan `{network}` tidak ada di zona mana pun (lokasi yang memilikinya: {count}, yang pertama `{site}`), semua "
         "lalu lintasnya akan dibuang; tambahkan ke salah satu zona"),
    Rule("PO005", _E, "the flow from `{source}` to `{target}` is ignored: zone `{zone}` is isolated and opens only to the "
         "internet and its gateway, and nothing to it; remove the flow, or `isolated: true`",
         "aliran dari `{source}` ke `{target}` diabaikan: zona `{zone}` terisolasi, hanya membuka koneksi ke internet "
         "dan gateway-nya, dan tertutup dari yang lain; hapus aliran ini, atau `isolated: true`"),
    Rule("PO006", _W, "`{source}` to `{target}` with `{service}` is permitted already (\"{why}\"); remove it from one flow",
         "`{source}` ke `{target}` dengan `{service}` sudah diizinkan (\"{why}\"); hapus dari salah satu aliran"),
    Rule("PO007", _E, "{what} `{name}` is always there and cannot be stated; choose another name",
         "{what} `{name}` selalu ada dan tidak dapat ditulis ulang; pilih nama lain"),
    Rule("PO008", _E, "`{port}` is no port or range of ports; ports are 1 to 65535, the lower one first",
         "`{port}` bukan port atau rentang port; port bernilai 1 sampai 65535, yang kecil di depan"),
    Rule("PO009", _E, "`{host}` cannot be published: {problem}; correct the entry",
         "`{host}` tidak dapat dipublikasikan: {problem}; perbaiki isian ini"),
    Rule("PO010", _W, "no flow uses {what} `{name}`; remove it, or state what it is for",
         "tidak ada aliran yang memakai {what} `{name}`; hapus, atau tulis aliran yang memakainya"),
    Rule("PO011", _E, "administrators cannot come from `{name}`: there is no such {what}{hint}; correct the name",
         "administrator tidak dapat datang dari `{name}`: {what} itu tidak ada{hint}; perbaiki namanya"),
    Rule("PO012", _W, "nobody is an administrator, so no gateway lets anybody log in over the network; name a network or "
         "VPN user in `admins:`",
         "tidak ada administrator, sehingga tidak ada gateway yang dapat dimasuki lewat jaringan; sebut jaringan atau "
         "pengguna VPN di `admins:`"),
    Rule("PO013", _E, "`{service}` lets `{source}` log in to the gateways over SSH, which is for `admin` only; take it out "
         "of this flow, or name the network in `admins:`",
         "`{service}` mengizinkan `{source}` masuk ke gateway lewat SSH, padahal itu hanya untuk `admin`; keluarkan dari "
         "aliran ini, atau sebut jaringannya di `admins:`"),
    Rule("PO014", _W, "hub `{gateway}` has no static address on uplink `{uplink}`, nobody can build a tunnel to it; enter "
         "the address from the provider (of a pair: `gateways:`)",
         "hub `{gateway}` tidak memiliki alamat statis pada uplink `{uplink}`, tidak ada yang dapat membuat tunnel ke "
         "sana; isi alamat dari penyedia (untuk pasangan: `gateways:`)"),
    Rule("PO015", _W, "VPN user `{name}` is an administrator but ended on {since}; remove the name from `admins:`",
         "pengguna VPN `{name}` adalah administrator tetapi sudah berakhir pada {since}; hapus namanya dari `admins:`"),
    # -- guests in vSphere ---------------------------------------------------------------------
    Rule("VS001", _E, "guests are planned at `{site}`, but vsphere.yml does not say where vSphere keeps them; add the site "
         "to `sites:`",
         "mesin virtual direncanakan di `{site}`, tetapi vsphere.yml tidak menyebut tempatnya di vSphere; tambahkan "
         "lokasinya ke `sites:`"),
    Rule("VS002", _E, "guest `{guest}` wants {wanted} {what}, a host of cluster `{cluster}` has {there}; make it smaller",
         "mesin virtual `{guest}` meminta {wanted} {what}, sedangkan host di klaster `{cluster}` memiliki {there}; "
         "perkecil"),
    Rule("VS003", _E, "guests of `{site}` up to {year} want {wanted} GB, datastore `{datastore}` has {there}; make disks "
         "smaller or the datastore larger",
         "mesin virtual di `{site}` sampai {year} meminta {wanted} GB, datastore `{datastore}` memiliki {there}; perkecil "
         "disk atau perbesar datastore"),
    Rule("VS004", _E, "`{guest}` is {problem}; `guests:` holds guests of the plan that are no application, each once",
         "`{guest}` {problem}; `guests:` memuat mesin virtual dalam rencana yang bukan aplikasi, masing-masing sekali"),
    # -- keys ----------------------------------------------------------------------------------
    Rule("KY001", _E, "there is no gateway `{name}`{hint} for this key; correct the name or remove the line",
         "tidak ada gateway `{name}`{hint} untuk kunci ini; perbaiki namanya atau hapus baris ini"),
    Rule("KY002", _E, "`{first}` and `{second}` have the same key; make a new one on one of them",
         "`{first}` dan `{second}` memakai kunci yang sama; buat kunci baru pada salah satunya"),
    Rule("KY003", _E, "there is no VPN user `{name}`{hint} for this key; register the user or remove the line",
         "tidak ada pengguna VPN `{name}`{hint} untuk kunci ini; daftarkan penggunanya atau hapus baris ini"),
    Rule("KY004", _E, "there is no NAS `{name}`{hint} for this key; correct the name or remove the line",
         "tidak ada NAS `{name}`{hint} untuk kunci ini; perbaiki namanya atau hapus baris ini"),
    Rule("KY005", _E, "`{name}` may read every host, and is no host where administrators come from ({networks}){hint}: "
         "gateways refuse it; use one that is, or remove the line",
         "`{name}` boleh membaca semua host, tetapi bukan host di tempat administrator masuk ({networks}){hint}: gateway "
         "menolaknya; pakai host di sana, atau hapus baris ini"),
    # -- people --------------------------------------------------------------------------------
    Rule("US001", _E, "`{user}` belongs to `{agency}`, and there is no office or kecamatan of that name{hint}; correct "
         "the name",
         "`{user}` tercatat di `{agency}`, padahal tidak ada kantor atau kecamatan bernama itu{hint}; perbaiki namanya"),
    Rule("US002", _E, "the name `{name}` is there twice; choose another for one of the two people",
         "nama `{name}` ada dua kali; pilih nama lain untuk salah satu dari keduanya"),
    Rule("US003", _E, "number {number} belongs to `{first}` and `{second}`; give `{second}` the free number {free} (a "
         "number is never given to another person, its owner's files bear it)",
         "nomor {number} dimiliki `{first}` dan `{second}`; beri `{second}` nomor bebas {free} (nomor tidak pernah "
         "diberikan kepada orang lain, berkas pemiliknya memakai nomor itu)"),
    Rule("US004", _E, "`{name}` is {what}; choose another name",
         "`{name}` adalah {what}; pilih nama lain"),
    # -- switches and radios -------------------------------------------------------------------
    Rule("DV001", _E, "`{ports}` is no range of ports: both ends need the same beginning and the last number counts up; "
         "write it like ether2-ether9",
         "`{ports}` bukan rentang port: kedua ujungnya harus berawalan sama dan angka terakhirnya naik; tulis seperti "
         "ether2-ether9"),
    Rule("DV002", _E, "port `{port}` is in profile `{profile}` twice; keep the line that is right",
         "port `{port}` ada dua kali di profil `{profile}`; sisakan baris yang benar"),
    Rule("DV003", _E, "switch profile `{profile}` has no port to the gateway; give one port `role: uplink`",
         "profil switch `{profile}` tidak memiliki port ke gateway; beri satu port `role: uplink`"),
    Rule("DV004", _E, "profile `{profile}` is of a {kind}, a {wanted} is needed here; name another profile",
         "profil `{profile}` untuk {kind}, sedangkan di sini perlu {wanted}; sebut profil lain"),
    Rule("DV005", _E, "`{host}` is no switch and cannot name a profile; remove `profile:` (radios have their link's, in "
         "devices.yml)",
         "`{host}` bukan switch sehingga tidak dapat menyebut profil; hapus `profile:` (radio memakai profil tautannya di "
         "devices.yml)"),
    Rule("DV006", _E, "the name of radio `{host}` leads to no radio link; name it radio-<site at the other end>",
         "nama radio `{host}` tidak merujuk tautan radio mana pun; beri nama radio-<lokasi di ujung lain>"),
    Rule("DV007", _E, "`{host}` has no place in the network mgmt and cannot be reached; add `mgmt: <number 4-9>` to its "
         "interfaces",
         "`{host}` tidak berada di jaringan mgmt sehingga tidak terjangkau; tambahkan `mgmt: <nomor 4-9>` pada "
         "antarmukanya"),
    Rule("DV008", _W, "`{host}` has no profile, so nobody provisions or checks it; name one in devices.yml for a {kind} of "
         "a {site_kind}",
         "`{host}` belum memiliki profil sehingga tidak disiapkan dan tidak diperiksa; sebut profilnya di devices.yml "
         "untuk {kind} di {site_kind}"),
    Rule("DV009", _E, "radio `{host}` has number {number}, the switch's {count} radio ports are those of numbers "
         "{first} to {last}; give it one of these, or the switch a profile with more",
         "radio `{host}` bernomor {number}, sedangkan {count} port radio switch adalah untuk nomor {first} sampai {last}; "
         "beri salah satunya, atau beri switch profil dengan port lebih banyak"),
    Rule("DV010", _W, "link `{link}` has no radio at `{site}`; add `{{name: {name}, kind: radio, interfaces: {{mgmt: ...}}}}` "
         "to its hosts",
         "tautan `{link}` belum memiliki radio di `{site}`; tambahkan `{{name: {name}, kind: radio, interfaces: "
         "{{mgmt: ...}}}}` pada host-nya"),
)  # fmt: skip

CATALOGUE: dict[str, Rule] = {rule.id: rule for rule in _ALL}
