# What test_interop.py asks of every client, said by Net::SSH2, which is libssh2.
use strict;
use warnings;
use Net::SSH2;

my ($port, $user, $key) = @ARGV;
my $ssh = Net::SSH2->new;
$ssh->connect('127.0.0.1', $port) or $ssh->die_with_error('connect');
$ssh->auth_publickey($user, "$key.pub", $key) or $ssh->die_with_error('auth');

sub start {
    my $channel = $ssh->channel or $ssh->die_with_error('open');
    if (@_) { $channel->exec($_[0]) or $ssh->die_with_error('exec') }
    return $channel;
}

sub slurp {
    my ($channel, $ext) = @_;
    my ($all, $data) = ('', '');
    while (1) {
        my $n = $channel->read($data, 65536, $ext);
        $ssh->die_with_error('read') unless defined $n;
        last unless $n;
        $all .= substr $data, 0, $n;
    }
    chomp $all;
    return $all;
}

sub finish {
    my $channel = shift;
    $channel->wait_closed if $channel->close;
    return $channel->exit_status;
}

my $channel = start('echo out; echo err >&2; exit 7');
my ($out, $err) = (slurp($channel, 0), slurp($channel, 1));
print "exec $out $err ", finish($channel), "\n";

$channel = start('sha256sum');
my $input = 'x' x (1 << 20);
while (length $input) {
    my $n = $channel->write($input) or $ssh->die_with_error('write');
    substr($input, 0, $n) = '';
}
$channel->send_eof;
$out = slurp($channel, 0);
print 'stdin ', substr($out, 0, 64), ' ', finish($channel), "\n";

my @channels = map { start("cat; exit $_") } 0 .. 4;
my $line = 'channels';
for my $i (reverse 0 .. 4) {
    $channels[$i]->write("n$i");
    $channels[$i]->send_eof;
    my $got = slurp($channels[$i], 0);
    $line .= " $got=" . finish($channels[$i]);
}
print "$line\n";

$channel = start();
die "not refused\n" if $channel->setenv(NOT_ACCEPTED => 1) || $ssh->tcpip('127.0.0.1', 22);
$channel->exec('echo alive') or $ssh->die_with_error('exec');
print 'refused, ', slurp($channel, 0), "\n";
finish($channel);
$ssh->disconnect;
