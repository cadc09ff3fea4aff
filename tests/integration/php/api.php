<?php
// The Cart API as far as PHP itself decides what arrives: with its default limits, and nothing of a sandbox of ours.
$lines = $_POST['products'] ?? [];
$seen = [
    'id' => $_POST['id'] ?? null,
    'fields' => count($_POST, COUNT_RECURSIVE) - count($lines) - 1,
    'lines' => array_map(fn($line) => [$line['name'] ?? null, $line['quantity'] ?? null, $line['price'] ?? null], $lines),
];
file_put_contents(getenv('SEEN'), json_encode($seen) . "\n", FILE_APPEND | LOCK_EX);
header('Content-Type: application/json');
$known = ($_POST['key'] ?? '') === getenv('KEY');
echo json_encode($known ? ['status' => 'success'] : ['status' => 'error', 'message' => 'Invalid API key']);
