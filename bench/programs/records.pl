# Hashes of lists, strings that grow, sorting and matching. Usage: records.pl ROUNDS
use strict;
use warnings;

my $state = 1;
sub chance { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return ($state >> 8) % $_[0]; }
sub word { return join '', map { chr(97 + chance(26)) } 1 .. 2 + chance(10); }

my $result = 0;
for my $round (1 .. $ARGV[0]) {
    my (%index, @records);
    for my $id (0 .. 1500) {
        my $record = { id => $id, name => word(), tags => [map { word() } 0 .. chance(4)], score => chance(1000) / 7 };
        push @records, $record;
        push @{ $index{$_} }, $id for @{ $record->{tags} };
    }
    my $text = '';
    for my $record (sort { $a->{name} cmp $b->{name} || $a->{id} <=> $b->{id} } @records) {
        $text .= "$record->{id}: $record->{name} (" . join(', ', @{ $record->{tags} }) . ")\n";
    }
    my %letters;
    $letters{$1}++ while $text =~ /\b(\w\w)/g;
    $text =~ s/(\d+): (\w+)/$2=$1/g;
    my @fields = map { [split /[=( ,]+/] } split /\n/, $text;
    $result += scalar(@$_) for @fields;
    $result += keys(%letters) + keys(%index) + length $text;
}
print "$result\n";
