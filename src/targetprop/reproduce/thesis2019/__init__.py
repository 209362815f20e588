"""Items of Meulemans 2019, a file per topic."""
