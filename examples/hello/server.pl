# A web server of one file: `/` is the page, `/health` says which version answers. Ends at once on SIGTERM.
use strict;
use warnings;
use IO::Socket::INET;

my $port = $ENV{PORT} || 8080;

sub text {
    my ($path) = @_;
    open my $file, '<', "/srv/$path" or die "$path: $!\n";
    local $/;
    return <$file>;
}

if (@ARGV && $ARGV[0] eq '--check') {
    my $peer = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 1) or exit 1;
    print {$peer} "GET /health HTTP/1.0\r\n\r\n";
    my $first = <$peer> // '';
    exit($first =~ / 200 / ? 0 : 1);
}

$| = 1;
$SIG{TERM} = $SIG{INT} = sub { print "stopping\n"; exit 0 };
$SIG{PIPE} = 'IGNORE';
my ($page, $version) = (text('page.html'), text('version'));
my $listener = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "port $port: $!\n";
print "hello $version";

while (1) {
    my $client = $listener->accept or next;
    my $request = <$client> // '';
    my ($status, $type, $body) =
          $request =~ m{^GET / }       ? ('200 OK', 'text/html', $page)
        : $request =~ m{^GET /health } ? ('200 OK', 'text/plain', $version)
        :                                ('404 Not Found', 'text/plain', "not here\n");
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    print {$client} "HTTP/1.0 $status\r\nContent-Type: $type\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
    close $client;
}
